// Command callback has an agent and a customer called and joined by TENIOS, and says how it went.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"callback/generated/tenios"
)

const (
	timeout       = 30 * time.Second
	largestAnswer = 1 << 20
)

// The statuses that end a callback. All others do not, the ones that TENIOS may add one day included.
var outcomes = map[tenios.CallbackStatus]string{
	tenios.CALLAFAILED:  "agent_failed",
	tenios.CALLBFAILED:  "customer_failed",
	tenios.DISCONNECTED: "connected",
}

var meanings = map[tenios.CallbackStatus]string{
	tenios.REQUESTED: "requested",
	tenios.ACCEPTED:  "accepted",
	tenios.CALLINGA:  "the agent's telephone rings",
	tenios.CALLINGB:  "the customer's telephone rings",
	tenios.CONNECTED: "they talk",
}

var exitCodes = map[string]int{
	"connected": 0, "agent_failed": 1, "customer_failed": 1, "rejected": 2, "unknown": 3, "lost_sight": 4,
}

func main() {
	outcome := run(context.Background())
	fmt.Println(outcome)
	os.Exit(exitCodes[outcome])
}

func run(ctx context.Context) string {
	delay, err := strconv.ParseInt(or(argument(2), "0"), 10, 32)
	if err != nil || argument(1) == "" {
		return told("rejected", "usage: callback NUMBER [DELAY [ANNOUNCEMENT [KEY]]]")
	}
	client, err := tenios.NewClient(or(os.Getenv("TENIOS_BASE_URL"), "https://api.tenios.com"), tenios.WithHTTPClient(newHTTPClient()))
	if err != nil {
		return told("rejected", err)
	}
	key := os.Getenv("TENIOS_ACCESS_KEY")
	id, outcome := dial(ctx, client, tenios.InitCallbackRequest{
		AccessKey:                    key,
		CallbackConfigId:             os.Getenv("TENIOS_CALLBACK_CONFIG_ID"),
		CallbackNumber:               argument(1),
		Delay:                        int32(delay),
		AgentAnnouncement:            optional(argument(3)),
		DtmfKeyToTriggerCustomerCall: optional(argument(4)),
	})
	if outcome != "" {
		return outcome
	}
	return follow(ctx, client, tenios.CallbackStatusRequest{AccessKey: key, Id: id})
}

// newHTTPClient makes one that sends each request once. A kept connection may be closed by the server just as it is used again, and then
// net/http may repeat a request, and nobody knows whether a dial has arrived: so none is kept. Whoever polls a lot keeps them for that.
func newHTTPClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	return &http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dial starts a callback and gives its id; or the outcome, where there is none.
func dial(ctx context.Context, client *tenios.Client, request tenios.InitCallbackRequest) (int64, string) {
	response, body, err := read(client.InitCallback(ctx, request))
	var operation *net.OpError
	if errors.As(err, &operation) && operation.Op == "dial" {
		return 0, told("rejected", "no connection was made, and nothing was sent: ", err)
	}
	if err != nil {
		return 0, told("unknown", "telephones may be ringing: ", err)
	}
	switch response.StatusCode {
	case 400, 401, 403, 404, 405, 413, 415, 422, 429:
		return 0, told("rejected", "TENIOS said no: ", response.Status, " ", reason(body).ErrorMessage)
	case http.StatusOK:
		// The contract says a number; json.Number also takes one that is written as text.
		var answer struct {
			ID json.Number `json:"id"`
		}
		if json.Unmarshal(body, &answer) == nil {
			if id, err := answer.ID.Int64(); err == nil && id >= 0 {
				return id, ""
			}
		}
	}
	return 0, told("unknown", "telephones may be ringing: no id in the answer, ", response.Status)
}

// follow asks until the callback is over. A question that fails is no news.
func follow(ctx context.Context, client *tenios.Client, request tenios.CallbackStatusRequest) string {
	seconds, err := strconv.ParseFloat(or(os.Getenv("POLL_SECONDS"), "2"), 64)
	if err != nil {
		seconds = 2
	}
	for last := tenios.CallbackStatus(""); ; {
		pause := time.Duration(seconds * float64(time.Second))
		response, body, err := read(client.GetCallbackStatus(ctx, request))
		switch {
		case err != nil:
			fmt.Fprintln(os.Stderr, "asking again:", err)
		case response.StatusCode == 401, response.StatusCode == 403, reason(body).ErrorCode == "BAD_CREDENTIALS":
			return told("lost_sight", "the callback goes on, but TENIOS refuses to say how far it is: ", response.Status)
		case response.StatusCode == http.StatusOK:
			var answer tenios.CallbackStatusResponse
			if json.Unmarshal(body, &answer) != nil || answer.Status == "" || answer.Status == last {
				break
			}
			last = answer.Status
			fmt.Println(last)
			if outcome, over := outcomes[last]; over {
				return outcome
			}
			fmt.Fprintln(os.Stderr, or(meanings[last], "a status that this program does not know"))
		default:
			fmt.Fprintln(os.Stderr, "asking again:", response.Status)
			if after, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
				pause = max(pause, time.Duration(after)*time.Second)
			}
		}
		time.Sleep(pause)
	}
}

// read takes the answer whole, within a bound: half an answer is none.
func read(response *http.Response, err error) (*http.Response, []byte, error) {
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, largestAnswer))
	return response, body, err
}

func reason(body []byte) (answer tenios.ErrorResponse) {
	_ = json.Unmarshal(body, &answer) // A proxy's page has none.
	return answer
}

func told(outcome string, reasons ...any) string {
	fmt.Fprintln(os.Stderr, fmt.Sprint(reasons...))
	return outcome
}

func argument(number int) string {
	if number < len(os.Args) {
		return os.Args[number]
	}
	return ""
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func or(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
