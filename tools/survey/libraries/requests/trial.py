import sys

import requests

print("requests", requests.__version__)
with requests.Session() as client:
    for _ in range(2):
        try:
            response = client.post(
                sys.argv[1],
                data="{}",
                allow_redirects=False,  # careful
            )
            print(response.status_code)
        except Exception as error:
            print(error)
