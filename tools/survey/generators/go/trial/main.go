package main

import (
	"context"
	"fmt"
	tenios "github.com/GIT_USER_ID/GIT_REPO_ID"
	"os"
)

func main() {
	configuration := tenios.NewConfiguration()
	configuration.Servers = tenios.ServerConfigurations{{URL: os.Args[1]}}
	api := tenios.NewAPIClient(configuration).CallbackAPI
	for i := 0; i < 2; i++ {
		request := *tenios.NewInitCallbackRequest("KEY", "CONFIG", "+493023125100", 0)
		started, _, err := api.InitCallback(context.Background()).InitCallbackRequest(request).Execute()
		fmt.Println(started, err)
	}
	request := *tenios.NewCallbackStatusRequest("KEY", 10)
	found, _, err := api.GetCallbackStatus(context.Background()).CallbackStatusRequest(request).Execute()
	if err != nil {
		fmt.Printf("error:%T\n", err)
	} else {
		fmt.Println(found.GetStatus())
	}
}
