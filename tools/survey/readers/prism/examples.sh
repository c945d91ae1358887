# Prism serves the file, and schemathesis, which reads it too, sends its examples.
port=$("$PYTHON" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
"$NODE_BIN/prism" mock --port "$port" "$1" >log 2>&1 &
trap "kill $!" EXIT
timeout 60 sh -c "until curl --silent --output log $url; do sleep 0.2; done"
"$BIN/schemathesis" run "$1" --url "$url" --phases examples --no-color
