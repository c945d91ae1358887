// Command callback starts a TENIOS callback, reports each status and prints the outcome.
package main

import (
	"bytes"
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
	"regexp"
	"strconv"
	"strings"
	"time"

	"callback/generated/tenios"
)

var accessKey = os.Getenv("TENIOS_ACCESS_KEY")

var exitCodes = map[string]int{
	"connected": 0, "agent_failed": 1, "customer_failed": 1, "rejected": 2, "unknown": 3, "status_unavailable": 4,
}

// settings come from the environment. The access key is kept apart, so that it is never printed.
type settings struct {
	server, configID         string
	poll, maxPause, timeout time.Duration
}

// main starts the callbacks one after another with the same client. Each has up to four arguments.
func main() {
	exitCode := 0
	set, settingsErr := readSettings()
	client, clientErr := tenios.NewClient(set.server, tenios.WithHTTPClient(newHTTPClient(set.timeout)))
	given := append(os.Args[1:], "", "", "", "")
	for first := 0; first == 0 || first+4 < len(given); first += 4 {
		var outcome string
		if err := errors.Join(settingsErr, clientErr); err != nil {
			outcome = logged("rejected", "Nothing was sent: ", err)
		} else {
			outcome = run(context.Background(), client, set, given[first:first+4])
		}
		fmt.Println(outcome)
		exitCode = max(exitCode, exitCodes[outcome])
	}
	os.Exit(exitCode)
}

func readSettings() (settings, error) {
	set := settings{server: cmp.Or(os.Getenv("TENIOS_BASE_URL"), "https://api.tenios.com"), configID: os.Getenv("TENIOS_CALLBACK_CONFIG_ID")}
	base, urlErr := url.Parse(set.server)
	if urlErr == nil && base.Host == "" {
		urlErr = fmt.Errorf("TENIOS_BASE_URL must be an http(s) URL, got %s", set.server)
	}
	return set, errors.Join(
		urlErr,
		readSeconds(&set.poll, "POLL_SECONDS", "2", 0),
		readSeconds(&set.maxPause, "MAX_PAUSE_SECONDS", "3600", 0),
		readSeconds(&set.timeout, "TIMEOUT_SECONDS", "30", 0.001),
	)
}

func readSeconds(setting *time.Duration, name, fallback string, least float64) error {
	text := cmp.Or(os.Getenv(name), fallback)
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(least <= seconds && seconds <= 3600) {
		return fmt.Errorf("%s must be from %v to 3600, got %s", name, least, text)
	}
	*setting = time.Duration(seconds * float64(time.Second))
	return nil
}

func run(ctx context.Context, client *tenios.Client, set settings, given []string) string {
	number, delay, announcement, key := given[0], given[1], given[2], given[3]
	seconds, err := strconv.ParseUint(cmp.Or(delay, "0"), 10, 31)
	if err != nil || number == "" {
		return logged("rejected", "Nothing was sent. Usage: callback NUMBER [DELAY [ANNOUNCEMENT [KEY]]]")
	}
	id, outcome := start(ctx, client, tenios.InitCallbackRequest{
		AccessKey:                    accessKey,
		CallbackConfigId:             set.configID,
		CallbackNumber:               number,
		Delay:                        int32(seconds),
		AgentAnnouncement:            announcement,
		DtmfKeyToTriggerCustomerCall: key,
	})
	if outcome != "" {
		return outcome
	}
	return poll(ctx, client, tenios.CallbackStatusRequest{AccessKey: accessKey, Id: id}, set)
}

// newHTTPClient returns a client that sends each request once. net/http may repeat a POST if a kept-alive connection is lost,
// and with HTTP/2 also if the server resets the stream, so the client uses neither. The connect timeout is shorter than the
// timeout for the whole request: if it expires, nothing was sent.
func newHTTPClient(timeout time.Duration) *http.Client {
	transport := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DialContext:       (&net.Dialer{Timeout: min(10*time.Second, timeout)}).DialContext,
		DisableKeepAlives: true,
		Protocols:         new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(true)
	return &http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// start sends one init request. It returns the id of the callback, or an outcome if there is no id.
func start(ctx context.Context, client *tenios.Client, request tenios.InitCallbackRequest) (int64, string) {
	response, body, err := read(client.InitCallback(ctx, request))
	if failed := (*net.OpError)(nil); errors.As(err, &failed) && failed.Op == "dial" {
		return 0, logged("rejected", "No connection was made, so nothing was sent: ", err)
	}
	if err != nil {
		return 0, logged("unknown", "Phones may be ringing: ", err)
	}
	switch response.StatusCode {
	case 400, 401, 403, 404, 405, 413, 415, 422, 429:
		return 0, logged("rejected", "TENIOS rejected the callback: HTTP ", response.StatusCode, " ", errorCode(body))
	case 200:
		if id, err := parseID(string(fields(body)["id"])); err == nil {
			return id, ""
		}
	}
	return 0, logged("unknown", "Phones may be ringing: no valid id in the response, HTTP ", response.StatusCode)
}

var decimalText = regexp.MustCompile(`^"(?:0|[1-9][0-9]{0,18})"$`)

// parseID returns the exact id, or an error. The contract says number. Decimal text is also accepted, but not "010", which may
// be another kind of id.
func parseID(text string) (int64, error) {
	if decimalText.MatchString(text) {
		text = strings.Trim(text, `"`)
	}
	if whole, fraction, found := strings.Cut(text, "."); found && strings.Trim(fraction, "0") == "" {
		text = whole
	}
	id, err := strconv.ParseUint(text, 10, 63)
	return int64(id), err
}

// poll sends status requests until the callback has ended. Failed ones are repeated.
func poll(ctx context.Context, client *tenios.Client, request tenios.CallbackStatusRequest, set settings) string {
	for last := ""; ; {
		wait := set.poll
		response, body, err := read(client.GetCallbackStatus(ctx, request))
		var current string
		switch {
		case err != nil:
			log("Status request failed, retrying: ", err)
		case response.StatusCode == 401, response.StatusCode == 403,
			response.StatusCode == 400 && errorCode(body) == "BAD_CREDENTIALS":
			return logged("status_unavailable", "The callback is still running, but TENIOS refuses to return its status: HTTP ", response.StatusCode)
		case response.StatusCode != 200:
			log("Status request failed, retrying: HTTP ", response.StatusCode)
			retryAfter, _ := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 31) // 0 for a date, which is ignored.
			wait = max(set.poll, min(time.Duration(retryAfter)*time.Second, set.maxPause))
		case json.Unmarshal(fields(body)["status"], &current) != nil || current == "":
			log("Status request failed, retrying: no status in the response")
		case current != last:
			last = current
			fmt.Println(redact(last))
			switch last { // TENIOS may add statuses, which are not final.
			case "CALL_A_FAILED":
				return "agent_failed"
			case "CALL_B_FAILED":
				return "customer_failed"
			case "DISCONNECTED":
				return "connected"
			}
		}
		time.Sleep(wait)
	}
}

// read returns the response and its body, up to a limit.
func read(response *http.Response, err error) (*http.Response, []byte, error) {
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response, bytes.TrimPrefix(body, []byte("\ufeff")), err
}

// fields returns the fields of a JSON object, or none if the body is something else, such as a proxy's page. The generated
// structs would accept "ID" for "id".
func fields(body []byte) (object map[string]json.RawMessage) {
	_ = json.Unmarshal(body, &object)
	return object
}

var wellFormedCode = regexp.MustCompile(`^[A-Z_]{1,40}$`)

// errorCode returns the code of an error response. Other text may contain the access key, in any spelling.
func errorCode(body []byte) (code string) {
	if json.Unmarshal(fields(body)["error_code"], &code) != nil || !wellFormedCode.MatchString(code) {
		return ""
	}
	return code
}

func logged(outcome string, parts ...any) string {
	log(parts...)
	return outcome
}

func log(parts ...any) {
	fmt.Fprintln(os.Stderr, redact(fmt.Sprint(parts...)))
}

// redact hides the access key, which a response or an error may contain.
func redact(text string) string {
	if accessKey == "" {
		return text
	}
	return strings.ReplaceAll(text, accessKey, "***")
}
