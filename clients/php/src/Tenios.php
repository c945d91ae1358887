<?php
// A client of the TENIOS Callback API. Needs PHP 8.1 or later with its curl extension.

declare(strict_types=1);

namespace Example;

/**
 * The TENIOS Callback API.
 *
 * An outcome is connected, agent_failed, customer_failed, rejected (no callback was started), unknown (phones may be ringing)
 * or status_unavailable (the callback was started, but TENIOS refuses to return its status).
 */
final class Tenios
{
    private const FINAL_STATUSES = ['CALL_A_FAILED' => 'agent_failed', 'CALL_B_FAILED' => 'customer_failed', 'DISCONNECTED' => 'connected'];
    private const REJECTIONS = [400, 401, 403, 404, 405, 413, 415, 422, 429];
    // With these errors, curl has not connected, so nothing was sent.
    private const NOT_CONNECTED = [CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT];
    private const LARGEST_RESPONSE = 1 << 20;

    private readonly string $baseUrl;

    /** Without $baseUrl, the client uses TENIOS_BASE_URL, such as that of a simulator, or else TENIOS. */
    public function __construct(
        #[\SensitiveParameter] private readonly string $accessKey,
        private readonly string $callbackConfigId,
        string $baseUrl = '',
        private readonly float $pollSeconds = 2,
        private readonly float $maxPauseSeconds = 3600,
        private readonly float $timeoutSeconds = 30,
    ) {
        $this->baseUrl = $baseUrl ?: getenv('TENIOS_BASE_URL') ?: 'https://api.tenios.com';
    }

    /** Starts one callback, polls it to its end and returns the outcome. Passes each new status to $report. */
    public function call(string $number, int $delay, string $announcement, string $key, callable $report): string
    {
        $started = $this->start($number, $delay, $announcement, $key);
        return is_int($started) ? $this->poll($started, $report) : $started;
    }

    /** Sends one init request. Returns the id of the callback, or an outcome if there is no id. */
    public function start(string $number, int $delay = 0, string $announcement = '', string $key = ''): int|string
    {
        $optional = ['agent_announcement' => $announcement, 'dtmf_key_to_trigger_customer_call' => $key];
        $response = $this->send('/callback/init', [
            'callback_config_id' => $this->callbackConfigId,
            'callback_number' => $number,
            'delay' => $delay,
            ...array_filter($optional, fn (string $value): bool => $value !== ''),
        ]);
        if (!$response->isConnected) {
            return $this->logged('rejected', "No connection was made, so nothing was sent: $response->error");
        }
        if ($response->error !== '') {
            return $this->logged('unknown', "Phones may be ringing: $response->error");
        }
        if (in_array($response->status, self::REJECTIONS, true)) {
            return $this->logged('rejected', "TENIOS rejected the callback: {$this->describe($response)}");
        }
        $id = $response->status === 200 ? self::id($response->document()['id'] ?? null) : null;
        return $id ?? $this->logged('unknown', "Phones may be ringing: no valid id in the response, HTTP $response->status");
    }

    /** Polls until the callback has ended, and returns the outcome. Failed status requests are repeated. */
    public function poll(int $id, callable $report): string
    {
        for ($last = null; ; usleep((int) ($pause * 1_000_000))) {
            $pause = $this->pollSeconds;
            $response = $this->send('/callback/status', ['id' => $id]);
            $document = $response->document();
            $isRefused = in_array($response->status, [401, 403], true)
                || ($response->status === 400 && ($document['error_code'] ?? null) === 'BAD_CREDENTIALS');
            if ($isRefused) {
                $text = "The callback is still running, but TENIOS refuses to return its status: {$this->describe($response)}";
                return $this->logged('status_unavailable', $text);
            }
            $status = $response->status === 200 && $response->error === '' ? ($document['status'] ?? null) : null;
            if (!is_string($status) || $status === '') {
                $this->log("Status request failed, retrying: {$this->describe($response)}");
                // A date is ignored.
                $asked = ctype_digit($response->retryAfter) ? (float) $response->retryAfter : 0.0;
                $pause = max($pause, min($asked, $this->maxPauseSeconds));
            } elseif ($status !== $last) {
                $last = $status;
                $report($this->redact($status));
                if (isset(self::FINAL_STATUSES[$status])) {
                    return self::FINAL_STATUSES[$status];
                }
            }
        }
    }

    /** Returns the exact id, or null. Decimal text is accepted, but not "010", which may be another kind of id. */
    private static function id(mixed $value): ?int
    {
        if (is_float($value) && $value >= 0 && $value < 2 ** 53 && floor($value) === $value) {
            return (int) $value; // such as 10.0
        }
        if (is_string($value) && preg_match('/^(0|[1-9][0-9]{0,18})$/D', $value) && (string) (int) $value === $value) {
            return (int) $value;
        }
        return is_int($value) && $value >= 0 ? $value : null;
    }

    /** Sends one request once. */
    private function send(string $path, array $fields): Response
    {
        $response = new Response();
        $flags = JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES;
        $curl = curl_init();
        curl_setopt_array($curl, [
            CURLOPT_URL => $this->baseUrl . $path,
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_POSTFIELDS => json_encode(['access_key' => $this->accessKey, ...$fields], $flags),
            CURLOPT_HTTPHEADER => ['Content-Type: application/json', 'Accept: application/json', 'Expect:'],
            // libcurl repeats a request, even a POST, if a kept-alive connection has been closed.
            CURLOPT_FRESH_CONNECT => true,
            CURLOPT_FORBID_REUSE => true,
            CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
            // A redirect would send the access key elsewhere, and the init request twice.
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_CONNECTTIMEOUT_MS => (int) (min(10, $this->timeoutSeconds) * 1000),
            CURLOPT_TIMEOUT_MS => (int) ($this->timeoutSeconds * 1000),
            CURLOPT_WRITEFUNCTION => function ($curl, string $chunk) use ($response): int {
                $response->body .= $chunk;
                return strlen($response->body) <= self::LARGEST_RESPONSE ? strlen($chunk) : -1;
            },
            CURLOPT_HEADERFUNCTION => function ($curl, string $line) use ($response): int {
                [$name, $value] = explode(':', $line, 2) + [1 => ''];
                if (strtolower($name) === 'retry-after') {
                    $response->retryAfter = trim($value);
                }
                return strlen($line);
            },
        ]);
        if (curl_exec($curl) === false) {
            $response->error = curl_error($curl);
            $hasTimedOut = curl_errno($curl) === CURLE_OPERATION_TIMEDOUT && curl_getinfo($curl, CURLINFO_CONNECT_TIME_T) === 0;
            $response->isConnected = !$hasTimedOut && !in_array(curl_errno($curl), self::NOT_CONNECTED, true);
        }
        $response->status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
        return $response;
    }

    private function describe(Response $response): string
    {
        // Only a code: other text may contain the access key, in any spelling.
        $code = $response->document()['error_code'] ?? '';
        return $response->error ?: "HTTP $response->status " . (is_string($code) && preg_match('/^[A-Z_]{1,40}$/D', $code) ? $code : '');
    }

    private function logged(string $outcome, string $text): string
    {
        $this->log($text);
        return $outcome;
    }

    private function log(string $text): void
    {
        error_log($this->redact($text));
    }

    /** Hides the access key, which a response may contain. */
    private function redact(string $text): string
    {
        return $this->accessKey === '' ? $text : str_replace($this->accessKey, '***', $text);
    }
}

/** A response, or the error that ended the request. */
final class Response
{
    public int $status = 0;
    public string $body = '';
    public string $retryAfter = '';
    public string $error = '';
    public bool $isConnected = true;

    /** Returns the JSON object in the body, or an empty array. An integer that is too large becomes a string. */
    public function document(): array
    {
        $text = str_starts_with($this->body, "\u{FEFF}") ? substr($this->body, 3) : $this->body;
        $document = json_decode($text, true, 64, JSON_BIGINT_AS_STRING);
        return is_array($document) ? $document : [];
    }
}
