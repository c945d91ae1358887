package main

import (
	"context"
	"fmt"
	"os"
	"trial/tenios"
)

func main() {
	client, _ := tenios.NewClientWithResponses(os.Args[1])
	for i := 0; i < 2; i++ {
		started, err := client.InitCallbackWithResponse(context.Background(), tenios.InitCallbackRequest{
			AccessKey: "KEY", CallbackConfigId: "CONFIG", CallbackNumber: "+493023125100"})
		fmt.Println(started, err)
	}
	request := tenios.CallbackStatusRequest{AccessKey: "KEY", Id: 10}
	found, err := client.GetCallbackStatusWithResponse(context.Background(), request)
	if err != nil {
		fmt.Printf("error:%T\n", err)
	} else {
		fmt.Println(found.JSON200.Status)
	}
}
