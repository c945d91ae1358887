// Command callback has an agent and a customer called and joined by TENIOS, and says how it went.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"callback/generated/tenios"
)

const longestPause = time.Hour

var accessKey = os.Getenv("TENIOS_ACCESS_KEY")

var exitCodes = map[string]int{
	"connected": 0, "agent_failed": 1, "customer_failed": 1, "rejected": 2, "unknown": 3, "lost_sight": 4,
}

func main() {
	given := append(os.Args[1:], "", "", "", "")
	outcome := run(context.Background(), given[0], given[1], given[2], given[3])
	fmt.Println(outcome)
	os.Exit(exitCodes[outcome])
}

func run(ctx context.Context, number, delay, announcement, key string) string {
	server := cmp.Or(os.Getenv("TENIOS_BASE_URL"), "https://api.tenios.com")
	base, wrongURL := url.Parse(server)
	client, wrongClient := tenios.NewClient(server, tenios.WithHTTPClient(newHTTPClient()))
	seconds, wrongDelay := strconv.ParseUint(cmp.Or(delay, "0"), 10, 31)
	pause, wrongPause := strconv.ParseFloat(cmp.Or(os.Getenv("POLL_SECONDS"), "2"), 64)
	switch err := errors.Join(wrongURL, wrongClient, wrongDelay, wrongPause); {
	case err != nil:
		return told("rejected", "nothing was sent: ", err)
	case number == "", base.Host == "", !(0 <= pause && pause <= longestPause.Seconds()):
		return told("rejected", "nothing was sent; usage: callback NUMBER [DELAY [ANNOUNCEMENT [KEY]]]")
	}
	id, outcome := dial(ctx, client, tenios.InitCallbackRequest{
		AccessKey:                    accessKey,
		CallbackConfigId:             os.Getenv("TENIOS_CALLBACK_CONFIG_ID"),
		CallbackNumber:               number,
		Delay:                        int32(seconds),
		AgentAnnouncement:            announcement,
		DtmfKeyToTriggerCustomerCall: key,
	})
	if outcome != "" {
		return outcome
	}
	return follow(ctx, client, tenios.CallbackStatusRequest{AccessKey: accessKey, Id: id}, time.Duration(pause*float64(time.Second)))
}

// newHTTPClient makes one that sends each request once. net/http itself may send a POST again: on a kept connection, and
// on HTTP/2 even on a new one, where the server resets the stream. So there is neither. And connecting has less time
// than the whole, so that a host which does not answer is known to have been sent nothing.
func newHTTPClient() *http.Client {
	transport := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DialContext:       (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		DisableKeepAlives: true,
		Protocols:         new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(true)
	return &http.Client{
		Transport:     transport,
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dial starts a callback and gives its id; or the outcome, where there is none.
func dial(ctx context.Context, client *tenios.Client, request tenios.InitCallbackRequest) (int64, string) {
	response, body, err := read(client.InitCallback(ctx, request))
	if failed := (*net.OpError)(nil); errors.As(err, &failed) && failed.Op == "dial" {
		return 0, told("rejected", "no connection was made, and nothing was sent: ", err)
	}
	if err != nil {
		return 0, told("unknown", "telephones may be ringing: ", err)
	}
	switch response.StatusCode {
	case 400, 401, 403, 404, 405, 413, 415, 422, 429:
		return 0, told("rejected", "TENIOS said no: ", response.Status, " ", reason(body).ErrorMessage)
	case 200:
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
func follow(ctx context.Context, client *tenios.Client, question tenios.CallbackStatusRequest, pause time.Duration) string {
	for last := tenios.CallbackStatus(""); ; {
		wait := pause
		response, body, err := read(client.GetCallbackStatus(ctx, question))
		var answer tenios.CallbackStatusResponse
		switch {
		case err != nil:
			tell("asking again: ", err)
		case response.StatusCode == 401, response.StatusCode == 403,
			response.StatusCode == 400 && reason(body).ErrorCode == "BAD_CREDENTIALS":
			return told("lost_sight", "the callback goes on, but TENIOS refuses to say how far it is: ", response.Status)
		case response.StatusCode != 200:
			tell("asking again: ", response.Status)
			after, _ := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 31) // A date is not understood, and is 0.
			wait = max(pause, min(time.Duration(after)*time.Second, longestPause))
		case json.Unmarshal(body, &answer) != nil || answer.Status == "":
			tell("asking again: no status in the answer")
		case answer.Status != last:
			last = answer.Status
			fmt.Println(hidden(string(last)))
			switch last {
			case tenios.CALLAFAILED:
				return "agent_failed"
			case tenios.CALLBFAILED:
				return "customer_failed"
			case tenios.DISCONNECTED:
				return "connected"
			case tenios.REQUESTED, tenios.ACCEPTED, tenios.CALLINGA, tenios.CALLINGB, tenios.CONNECTED:
			default: // TENIOS may add statuses one day. None of those is final.
				tell("a status that this program does not know")
			}
		}
		time.Sleep(wait)
	}
}

// read takes the answer whole, within a bound: half an answer is none.
func read(response *http.Response, err error) (*http.Response, []byte, error) {
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response, body, err
}

func reason(body []byte) (answer tenios.ErrorResponse) {
	_ = json.Unmarshal(body, &answer) // A proxy's page has none.
	return answer
}

func told(outcome string, reasons ...any) string {
	tell(reasons...)
	return outcome
}

// tell is for people.
func tell(reasons ...any) {
	fmt.Fprintln(os.Stderr, hidden(fmt.Sprint(reasons...)))
}

// hidden is the text without the access key, which what TENIOS or an error says may repeat.
func hidden(text string) string {
	if accessKey == "" {
		return text
	}
	return strings.ReplaceAll(text, accessKey, "***")
}
