// Command callback starts a TENIOS callback, reports each status and prints the outcome.
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

const maxPause = time.Hour

var accessKey = os.Getenv("TENIOS_ACCESS_KEY")

var exitCodes = map[string]int{
	"connected": 0, "agent_failed": 1, "customer_failed": 1, "rejected": 2, "unknown": 3, "status_unavailable": 4,
}

func main() {
	given := append(os.Args[1:], "", "", "", "")
	outcome := run(context.Background(), given[0], given[1], given[2], given[3])
	fmt.Println(outcome)
	os.Exit(exitCodes[outcome])
}

func run(ctx context.Context, number, delay, announcement, key string) string {
	server := cmp.Or(os.Getenv("TENIOS_BASE_URL"), "https://api.tenios.com")
	base, urlErr := url.Parse(server)
	client, clientErr := tenios.NewClient(server, tenios.WithHTTPClient(newHTTPClient()))
	seconds, delayErr := strconv.ParseUint(cmp.Or(delay, "0"), 10, 31)
	pause, pauseErr := strconv.ParseFloat(cmp.Or(os.Getenv("POLL_SECONDS"), "2"), 64)
	switch err := errors.Join(urlErr, clientErr, delayErr, pauseErr); {
	case err != nil:
		return logged("rejected", "Nothing was sent: ", err)
	case base.Host == "":
		return logged("rejected", "Nothing was sent: TENIOS_BASE_URL must be an http(s) URL, got ", server)
	case !(0 <= pause && pause <= maxPause.Seconds()):
		return logged("rejected", "Nothing was sent: POLL_SECONDS must be from 0 to ", maxPause.Seconds(), ", got ", pause)
	case number == "":
		return logged("rejected", "Nothing was sent. Usage: callback NUMBER [DELAY [ANNOUNCEMENT [KEY]]]")
	}
	id, outcome := start(ctx, client, tenios.InitCallbackRequest{
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
	return poll(ctx, client, tenios.CallbackStatusRequest{AccessKey: accessKey, Id: id}, time.Duration(pause*float64(time.Second)))
}

// newHTTPClient returns a client that sends each request once. net/http may repeat a POST if a kept connection is lost, and
// with HTTP/2 also if the server resets the stream of a new one, so it uses neither. The timeout for connecting is shorter
// than the timeout for the whole request, so that it is certain that nothing was sent to a host that does not respond.
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

// start sends one init request. It returns the id of the callback, or an outcome if there is no id.
func start(ctx context.Context, client *tenios.Client, request tenios.InitCallbackRequest) (int64, string) {
	response, body, err := read(client.InitCallback(ctx, request))
	if failed := (*net.OpError)(nil); errors.As(err, &failed) && failed.Op == "dial" {
		return 0, logged("rejected", "No connection was made, nothing was sent: ", err)
	}
	if err != nil {
		return 0, logged("unknown", "Phones may be ringing: ", err)
	}
	switch response.StatusCode {
	case 400, 401, 403, 404, 405, 413, 415, 422, 429:
		return 0, logged("rejected", "TENIOS refused to start the callback: ", response.Status, " ", parseError(body).ErrorMessage)
	case 200:
		// The contract says number; json.Number also accepts decimal text.
		var started struct {
			ID json.Number `json:"id"`
		}
		if json.Unmarshal(body, &started) == nil {
			if id, err := started.ID.Int64(); err == nil && id >= 0 {
				return id, ""
			}
		}
	}
	return 0, logged("unknown", "Phones may be ringing: no usable id in the response, ", response.Status)
}

// poll sends status requests until the callback has ended. Failed ones are repeated.
func poll(ctx context.Context, client *tenios.Client, request tenios.CallbackStatusRequest, pause time.Duration) string {
	for last := tenios.CallbackStatus(""); ; {
		wait := pause
		response, body, err := read(client.GetCallbackStatus(ctx, request))
		var current tenios.CallbackStatusResponse
		switch {
		case err != nil:
			log("Status request failed, polling again: ", err)
		case response.StatusCode == 401, response.StatusCode == 403,
			response.StatusCode == 400 && parseError(body).ErrorCode == "BAD_CREDENTIALS":
			return logged("status_unavailable", "The callback goes on, but TENIOS refuses to return its status: ", response.Status)
		case response.StatusCode != 200:
			log("Status request failed, polling again: ", response.Status)
			retryAfter, _ := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 31) // 0 for a date, which is ignored.
			wait = max(pause, min(time.Duration(retryAfter)*time.Second, maxPause))
		case json.Unmarshal(body, &current) != nil || current.Status == "":
			log("Status request failed, polling again: no status in the response")
		case current.Status != last:
			last = current.Status
			fmt.Println(redact(string(last)))
			switch last {
			case tenios.CALLAFAILED:
				return "agent_failed"
			case tenios.CALLBFAILED:
				return "customer_failed"
			case tenios.DISCONNECTED:
				return "connected"
			case tenios.REQUESTED, tenios.ACCEPTED, tenios.CALLINGA, tenios.CALLINGB, tenios.CONNECTED:
			default: // TENIOS may add statuses, which are not final.
				log("a status that this program does not know")
			}
		}
		time.Sleep(wait)
	}
}

// read returns the response with its whole body, up to a limit.
func read(response *http.Response, err error) (*http.Response, []byte, error) {
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response, body, err
}

// parseError returns an empty error if the body is something else, such as a proxy's page.
func parseError(body []byte) (parsed tenios.CallbackError) {
	_ = json.Unmarshal(body, &parsed)
	return parsed
}

func logged(outcome string, parts ...any) string {
	log(parts...)
	return outcome
}

func log(parts ...any) {
	fmt.Fprintln(os.Stderr, redact(fmt.Sprint(parts...)))
}

// redact hides the access key, which a response or an error may repeat.
func redact(text string) string {
	if accessKey == "" {
		return text
	}
	return strings.ReplaceAll(text, accessKey, "***")
}
