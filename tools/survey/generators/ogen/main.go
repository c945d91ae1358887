package main

import (
	"context"
	"fmt"
	"os"
	"trial/tenios"
)

func main() {
	client, _ := tenios.NewClient(os.Args[1])
	for i := 0; i < 2; i++ {
		started, err := client.InitCallback(context.Background(), &tenios.InitCallbackRequest{
			AccessKey: "KEY", CallbackConfigID: "CONFIG", CallbackNumber: "+493023125100"})
		fmt.Println(started, err)
	}
	found, err := client.GetCallbackStatus(context.Background(), &tenios.CallbackStatusRequest{AccessKey: "KEY", ID: 10})
	if err != nil {
		fmt.Printf("error:%T\n", err)
		return
	}
	fmt.Println(found.(*tenios.CallbackStatusResponse).Status)
}
