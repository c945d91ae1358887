package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
)

func main() {
	fmt.Println(strings.Replace(runtime.Version(), "go", "Go ", 1))
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},                                      // careful
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // careful
	}
	for i := 0; i < 2; i++ {
		response, err := client.Post(os.Args[1], "application/json", strings.NewReader("{}"))
		if err != nil {
			fmt.Println(err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		fmt.Println(response.StatusCode, string(body), err)
	}
}
