<?php
// Starts TENIOS callbacks, reports each status and prints the outcome. Needs PHP 8.1 or later with its curl extension.

declare(strict_types=1);

const EXIT_CODES = [
    'connected' => 0, 'agent_failed' => 1, 'customer_failed' => 1, 'rejected' => 2, 'unknown' => 3, 'status_unavailable' => 4,
];
const FINAL_STATUSES = ['CALL_A_FAILED' => 'agent_failed', 'CALL_B_FAILED' => 'customer_failed', 'DISCONNECTED' => 'connected'];
const REJECTIONS = [400, 401, 403, 404, 405, 413, 415, 422, 429];
// With one of these errors, curl has not connected, so that nothing was sent.
const NOT_CONNECTED = [CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT];
const LARGEST_RESPONSE = 1 << 20;

/** A response, or the error that ended the request. */
final class Response
{
    public int $status = 0;
    public string $body = '';
    public string $retryAfter = '';
    public string $error = '';
    public bool $isConnected = true;

    /** Returns the JSON object in the body; an empty array if there is none. An integer that does not fit is a string. */
    public function document(): array
    {
        $text = str_starts_with($this->body, "\u{FEFF}") ? substr($this->body, 3) : $this->body;
        $document = json_decode($text, true, 64, JSON_BIGINT_AS_STRING);
        return is_array($document) ? $document : [];
    }
}

/** The TENIOS Callback API. */
final class Tenios
{
    public function __construct(
        #[SensitiveParameter] private readonly string $accessKey,
        private readonly string $callbackConfigId,
        private readonly string $baseUrl = 'https://api.tenios.com',
        private readonly float $pollSeconds = 2,
        private readonly float $maxPauseSeconds = 3600,
        private readonly float $timeoutSeconds = 30,
    ) {
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
            return $this->logged('rejected', "No connection was made, nothing was sent: $response->error");
        }
        if ($response->error !== '') {
            return $this->logged('unknown', "Phones may be ringing: $response->error");
        }
        if (in_array($response->status, REJECTIONS, true)) {
            return $this->logged('rejected', "TENIOS refused to start the callback: {$this->describe($response)}");
        }
        $id = $response->status === 200 ? self::id($response->document()['id'] ?? null) : null;
        return $id ?? $this->logged('unknown', "Phones may be ringing: no usable id in the response, HTTP $response->status");
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
                $text = "The callback goes on, but TENIOS refuses to return its status: {$this->describe($response)}";
                return $this->logged('status_unavailable', $text);
            }
            $status = $response->status === 200 && $response->error === '' ? ($document['status'] ?? null) : null;
            if (!is_string($status) || $status === '') {
                $this->log("Status request failed, polling again: {$this->describe($response)}");
                // A date is ignored.
                $asked = ctype_digit($response->retryAfter) ? (float) $response->retryAfter : 0.0;
                $pause = max($pause, min($asked, $this->maxPauseSeconds));
            } elseif ($status !== $last) {
                $last = $status;
                $report($this->redact($status));
                if (isset(FINAL_STATUSES[$status])) {
                    return FINAL_STATUSES[$status];
                }
            }
        }
    }

    /** Reads an id exactly or not at all. Decimal text is accepted, but not "010", which may be an id of another kind. */
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
            // libcurl repeats a request, also a POST, if a kept connection turns out to be closed.
            CURLOPT_FRESH_CONNECT => true,
            CURLOPT_FORBID_REUSE => true,
            CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
            // A redirect would send the access key elsewhere, and the init request twice.
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_CONNECTTIMEOUT_MS => (int) (min(10, $this->timeoutSeconds) * 1000),
            CURLOPT_TIMEOUT_MS => (int) ($this->timeoutSeconds * 1000),
            CURLOPT_WRITEFUNCTION => function ($curl, string $chunk) use ($response): int {
                $response->body .= $chunk;
                return strlen($response->body) <= LARGEST_RESPONSE ? strlen($chunk) : -1;
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
            $response->isConnected = !$hasTimedOut && !in_array(curl_errno($curl), NOT_CONNECTED, true);
        }
        $response->status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
        return $response;
    }

    private function describe(Response $response): string
    {
        $message = $response->document()['error_message'] ?? '';
        return $response->error ?: "HTTP $response->status " . (is_string($message) ? $message : '');
    }

    private function logged(string $outcome, string $text): string
    {
        $this->log($text);
        return $outcome;
    }

    private function log(string $text): void
    {
        fwrite(STDERR, $this->redact($text) . "\n");
    }

    /** Hides the access key, which a response may repeat. */
    private function redact(string $text): string
    {
        return $this->accessKey === '' ? $text : str_replace($this->accessKey, '***', $text);
    }
}

function refuse(string $reason): never
{
    fwrite(STDERR, "Nothing was sent: $reason\n");
    echo "rejected\n";
    exit(EXIT_CODES['rejected']);
}

function seconds(string $name, float $default, float $least): float
{
    $text = getenv($name) ?: '';
    $seconds = $text === '' ? $default : filter_var($text, FILTER_VALIDATE_FLOAT);
    return $seconds !== false && $seconds >= $least && $seconds <= 3600
        ? $seconds
        : refuse("$name must be a number from $least to 3600, got $text");
}

$accessKey = getenv('TENIOS_ACCESS_KEY') ?: '';
$configId = getenv('TENIOS_CALLBACK_CONFIG_ID') ?: '';
if (!preg_match('//u', $accessKey . $configId)) {
    refuse('TENIOS_ACCESS_KEY and TENIOS_CALLBACK_CONFIG_ID must be UTF-8');
}
$baseUrl = getenv('TENIOS_BASE_URL') ?: 'https://api.tenios.com';
if (!preg_match('~^https?://[^/]~i', $baseUrl)) {
    refuse("TENIOS_BASE_URL must be an http(s) URL, got $baseUrl");
}
$tenios = new Tenios(
    $accessKey,
    $configId,
    $baseUrl,
    seconds('POLL_SECONDS', 2, 0),
    seconds('MAX_PAUSE_SECONDS', 3600, 0),
    seconds('TIMEOUT_SECONDS', 30, 0.001),
);
// The callbacks are started one after another, with one client. Each has up to four arguments.
$exitCode = 0;
foreach (array_chunk(array_slice($argv, 1), 4) ?: [[]] as $given) {
    [$number, $delay, $announcement, $key] = $given + ['', '', '', ''];
    if ($number === '' || !preg_match('/^[0-9]{0,9}$/D', $delay) || !preg_match('//u', implode(' ', $given))) {
        refuse('Usage: callback.php NUMBER [DELAY [ANNOUNCEMENT [KEY]]]');
    }
    $outcome = $tenios->call($number, (int) $delay, $announcement, $key, function (string $status): void {
        echo "$status\n";
    });
    echo "$outcome\n";
    $exitCode = max($exitCode, EXIT_CODES[$outcome]);
}
exit($exitCode);
