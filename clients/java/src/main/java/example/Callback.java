package example;

import static java.util.concurrent.TimeUnit.SECONDS;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.*;
import example.tenios.*;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;

/** Starts a TENIOS callback, reports each status and prints the outcome. */
public final class Callback {
  private static final Set<Integer> REJECTIONS = Set.of(400, 401, 403, 404, 405, 413, 415, 422, 429);
  private static final String ACCESS_KEY = or(System.getenv("TENIOS_ACCESS_KEY"), "");
  private static final double MAX_PAUSE = 3600; // Seconds.
  private static final ScheduledExecutorService TIMER = Executors.newSingleThreadScheduledExecutor();
  private static final ObjectMapper JSON = ApiClient.createDefaultObjectMapper()
      .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT);

  enum Outcome {
    CONNECTED(0), AGENT_FAILED(1), CUSTOMER_FAILED(1), REJECTED(2), UNKNOWN(3), STATUS_UNAVAILABLE(4);

    final int exitCode;
    Outcome(int exitCode) { this.exitCode = exitCode; }
  }

  /** Ends the program early with an outcome. */
  static final class OutcomeException extends Exception {
    final Outcome outcome;
    OutcomeException(Outcome outcome, String reason) { super(reason); this.outcome = outcome; }
  }

  public static void main(String[] arguments) throws InterruptedException {
    Outcome outcome;
    try {
      outcome = run(arguments);
    } catch (OutcomeException exception) {
      log(exception.getMessage());
      outcome = exception.outcome;
    } catch (RuntimeException exception) {
      log("Phones may be ringing: " + exception);
      outcome = Outcome.UNKNOWN;
    }
    System.out.println(outcome.name().toLowerCase(Locale.ROOT));
    System.exit(outcome.exitCode);
  }

  private static Outcome run(String[] arguments) throws OutcomeException, InterruptedException {
    var given = Arrays.copyOf(arguments, 4);
    var request = new InitCallbackRequest().accessKey(ACCESS_KEY);
    CallbackApi api;
    double pollSeconds;
    try {
      api = connect(or(System.getenv("TENIOS_BASE_URL"), "https://api.tenios.com"));
      pollSeconds = Double.parseDouble(or(System.getenv("POLL_SECONDS"), "2"));
      request.callbackConfigId(or(System.getenv("TENIOS_CALLBACK_CONFIG_ID"), "")).callbackNumber(or(given[0], ""))
          .delay(Integer.parseInt(or(given[1], "0")))
          .agentAnnouncement(or(given[2], null)).dtmfKeyToTriggerCustomerCall(or(given[3], null));
    } catch (IllegalArgumentException exception) {
      throw new OutcomeException(Outcome.REJECTED, "Nothing was sent: " + exception.getMessage());
    }
    if (!(pollSeconds >= 0 && pollSeconds <= MAX_PAUSE)) {
      var message = "Nothing was sent: POLL_SECONDS must be from 0 to " + MAX_PAUSE + ", got " + pollSeconds;
      throw new OutcomeException(Outcome.REJECTED, message);
    }
    if (request.getCallbackNumber().isEmpty() || request.getDelay() < 0) {
      throw new OutcomeException(Outcome.REJECTED, "Nothing was sent. Usage: callback NUMBER [DELAY [ANNOUNCEMENT [KEY]]]");
    }
    return poll(api, new CallbackStatusRequest().accessKey(ACCESS_KEY).id(start(api, request)), pollSeconds);
  }

  private static CallbackApi connect(String baseUrl) {
    // If this is set for all programs of the machine, a POST may be repeated.
    System.setProperty("jdk.httpclient.enableAllMethodRetry", "false");
    HttpRequest.newBuilder(URI.create(baseUrl)); // Throws for an invalid URL, before anything is sent.
    var http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1)
        .followRedirects(HttpClient.Redirect.NEVER).connectTimeout(Duration.ofSeconds(5));
    return new CallbackApi(new ApiClient(http, JSON, baseUrl).setReadTimeout(Duration.ofSeconds(30))
        // The read timeout ends with the headers. This limits the time for the body.
        .setResponseInterceptor(response -> TIMER.schedule(() -> { response.body().close(); return null; }, 30, SECONDS)));
  }

  /** Sends one init request and returns the id of the callback. */
  private static long start(CallbackApi api, InitCallbackRequest request) throws OutcomeException {
    try {
      var response = api.initCallbackWithHttpInfo(request);
      // The generated code accepts any 2xx, even with an empty body.
      var id = response.getStatusCode() == 200 && response.getData() != null ? response.getData().getId() : null;
      if (id != null && id >= 0) return id;
      var message = "Phones may be ringing: no usable id in the response, HTTP " + response.getStatusCode();
      throw new OutcomeException(Outcome.UNKNOWN, message);
    } catch (ApiException exception) {
      var cause = exception.getCause();
      if (cause instanceof ConnectException || cause instanceof HttpConnectTimeoutException) {
        throw new OutcomeException(Outcome.REJECTED, "No connection was made, nothing was sent: " + describe(exception));
      }
      throw REJECTIONS.contains(exception.getCode())
          ? new OutcomeException(Outcome.REJECTED, "TENIOS refused to start the callback: " + describe(exception))
          : new OutcomeException(Outcome.UNKNOWN, "Phones may be ringing: " + describe(exception));
    }
  }

  /** Polls until the callback has ended. Failed status requests are repeated. */
  private static Outcome poll(CallbackApi api, CallbackStatusRequest request, double pollSeconds)
      throws OutcomeException, InterruptedException {
    for (String last = null; ; ) {
      var pause = pollSeconds;
      try {
        var response = api.getCallbackStatusWithHttpInfo(request);
        var current = response.getStatusCode() == 200 && response.getData() != null ? response.getData().getStatus() : null;
        if (current != null && !current.equals(last)) {
          last = current;
          System.out.println(redact(last));
          // TENIOS may add statuses, which are not final.
          var outcome = switch (last) {
            case "CALL_A_FAILED" -> Outcome.AGENT_FAILED;
            case "CALL_B_FAILED" -> Outcome.CUSTOMER_FAILED;
            case "DISCONNECTED" -> Outcome.CONNECTED;
            default -> null;
          };
          if (outcome != null) return outcome;
        }
      } catch (ApiException exception) {
        var status = exception.getCode();
        var errorCode = parseError(exception).map(CallbackError::getErrorCode).orElse("");
        if (status == 401 || status == 403 || status == 400 && errorCode.equals("BAD_CREDENTIALS")) {
          var message = "The callback goes on, but TENIOS refuses to return its status: " + describe(exception);
          throw new OutcomeException(Outcome.STATUS_UNAVAILABLE, message);
        }
        log("Status request failed, polling again: " + describe(exception));
        var header = Optional.ofNullable(exception.getResponseHeaders()).flatMap(headers -> headers.firstValue("Retry-After"));
        var retryAfter = header.filter(text -> text.matches("\\d+")).map(Double::valueOf).orElse(0.0); // A date is ignored.
        pause = Math.max(pollSeconds, Math.min(retryAfter, MAX_PAUSE));
      }
      Thread.sleep((long) (pause * 1000));
    }
  }

  private static Optional<CallbackError> parseError(ApiException exception) {
    try {
      return Optional.ofNullable(JSON.readValue(exception.getResponseBody(), CallbackError.class));
    } catch (JsonProcessingException | IllegalArgumentException notJson) {
      return Optional.empty();
    }
  }

  private static String describe(ApiException exception) {
    // Jackson's message quotes the response, possibly only a part of an access key in it, which redact() would not find.
    if (exception.getCause() instanceof JsonProcessingException) return "the response is not the JSON that was expected";
    if (exception.getCode() == 0) return String.valueOf(exception.getCause());
    return "HTTP " + exception.getCode() + " " + parseError(exception).map(CallbackError::getErrorMessage).orElse("");
  }

  private static void log(String text) {
    System.err.println(redact(text));
  }

  /** Hides the access key, which a response or an exception may repeat. */
  private static String redact(String text) {
    return ACCESS_KEY.isEmpty() ? text : text.replace(ACCESS_KEY, "***");
  }

  private static String or(String text, String fallback) {
    return text == null || text.isEmpty() ? fallback : text;
  }
}
