package example;

import static java.util.concurrent.TimeUnit.SECONDS;

import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.*;
import com.fasterxml.jackson.databind.annotation.JsonDeserialize;
import example.tenios.*;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;

/** Has an agent and a customer called and joined by TENIOS, and says how it went. */
public final class Callback {
  private static final Set<Integer> REFUSALS = Set.of(400, 401, 403, 404, 405, 413, 415, 422, 429);
  private static final String ACCESS_KEY = or(System.getenv("TENIOS_ACCESS_KEY"), "");
  private static final double LONGEST_PAUSE = 3600; // In seconds.
  private static final ScheduledExecutorService CLOCK = Executors.newSingleThreadScheduledExecutor();
  private static final ObjectMapper JSON = ApiClient.createDefaultObjectMapper()
      .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
      .addMixIn(CallbackStatusResponse.class, ReadAsSent.class);

  enum Outcome {
    CONNECTED(0), AGENT_FAILED(1), CUSTOMER_FAILED(1), REJECTED(2), UNKNOWN(3), LOST_SIGHT(4);

    final int exitCode;
    Outcome(int exitCode) { this.exitCode = exitCode; }
  }

  /** Carries an outcome that is known before the callback is over. */
  static final class Ended extends Exception {
    final Outcome outcome;
    Ended(Outcome outcome, String reason) { super(reason); this.outcome = outcome; }
  }

  @JsonDeserialize(as = AsSent.class) private interface ReadAsSent {}

  /** Keeps the text, too: the generated enum has none for a status that is not in the contract. */
  static final class AsSent extends CallbackStatusResponse {
    String text;
    @JsonSetter(JSON_PROPERTY_STATUS) void setText(String text) { this.text = text; setStatus(CallbackStatus.fromValue(text)); }
  }

  public static void main(String[] arguments) throws InterruptedException {
    Outcome outcome;
    try {
      outcome = run(arguments);
    } catch (Ended ended) {
      tell(ended.getMessage());
      outcome = ended.outcome;
    } catch (RuntimeException unforeseen) {
      tell("Telephones may be ringing: " + unforeseen);
      outcome = Outcome.UNKNOWN;
    }
    System.out.println(outcome.name().toLowerCase(Locale.ROOT));
    System.exit(outcome.exitCode);
  }

  private static Outcome run(String[] arguments) throws Ended, InterruptedException {
    var given = Arrays.copyOf(arguments, 4);
    var request = new InitCallbackRequest().accessKey(ACCESS_KEY);
    CallbackApi api;
    double pause;
    try {
      api = connect(or(System.getenv("TENIOS_BASE_URL"), "https://api.tenios.com"));
      pause = Double.parseDouble(or(System.getenv("POLL_SECONDS"), "2"));
      request.callbackConfigId(or(System.getenv("TENIOS_CALLBACK_CONFIG_ID"), "")).callbackNumber(or(given[0], ""))
          .delay(Integer.parseInt(or(given[1], "0")))
          .agentAnnouncement(or(given[2], null)).dtmfKeyToTriggerCustomerCall(or(given[3], null));
    } catch (IllegalArgumentException mistake) {
      throw new Ended(Outcome.REJECTED, "Nothing was sent: " + mistake.getMessage());
    }
    if (request.getCallbackNumber().isEmpty() || request.getDelay() < 0 || !(pause >= 0 && pause <= LONGEST_PAUSE)) {
      throw new Ended(Outcome.REJECTED, "usage: callback NUMBER [DELAY [ANNOUNCEMENT [KEY]]]");
    }
    return follow(api, new CallbackStatusRequest().accessKey(ACCESS_KEY).id(dial(api, request)), pause);
  }

  private static CallbackApi connect(String baseUrl) {
    // Somebody may have set this for all programs of the machine, and then a POST is repeated.
    System.setProperty("jdk.httpclient.enableAllMethodRetry", "false");
    HttpRequest.newBuilder(URI.create(baseUrl)); // Refuses a wrong address while it is certain that nothing was sent.
    var http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1)
        .followRedirects(HttpClient.Redirect.NEVER).connectTimeout(Duration.ofSeconds(5));
    return new CallbackApi(new ApiClient(http, JSON, baseUrl).setReadTimeout(Duration.ofSeconds(30))
        // That time is over with the headers, and a body that does not end would keep us for ever.
        .setResponseInterceptor(answer -> CLOCK.schedule(() -> { answer.body().close(); return null; }, 30, SECONDS)));
  }

  /** Dials, once, and gives the callback's id. */
  private static long dial(CallbackApi api, InitCallbackRequest request) throws Ended {
    try {
      var answer = api.initCallbackWithHttpInfo(request);
      // To the generated code any 2xx is a success, even with an empty body.
      var id = answer.getStatusCode() == 200 && answer.getData() != null ? answer.getData().getId() : null;
      if (id != null && id >= 0) return id;
      throw new Ended(Outcome.UNKNOWN, "Telephones may be ringing: HTTP " + answer.getStatusCode() + " without an id");
    } catch (ApiException failure) {
      var cause = failure.getCause();
      var rejected = cause instanceof ConnectException || cause instanceof HttpConnectTimeoutException
          || REFUSALS.contains(failure.getCode());
      throw rejected
          ? new Ended(Outcome.REJECTED, "No telephone rings: " + shown(failure))
          : new Ended(Outcome.UNKNOWN, "Telephones may be ringing: " + shown(failure));
    }
  }

  /** Asks until the callback is over. A question that fails is no news. */
  private static Outcome follow(CallbackApi api, CallbackStatusRequest request, double pause) throws Ended, InterruptedException {
    for (String last = null; ; ) {
      var wait = pause;
      try {
        var answer = api.getCallbackStatusWithHttpInfo(request);
        if (answer.getStatusCode() == 200 && answer.getData() instanceof AsSent news
            && news.text != null && !news.text.equals(last)) {
          last = news.text;
          System.out.println(hidden(last));
          // Without a default, so that a status which is new in the contract is not overlooked here.
          var outcome = switch (news.getStatus()) {
            case CALL_A_FAILED -> Outcome.AGENT_FAILED;
            case CALL_B_FAILED -> Outcome.CUSTOMER_FAILED;
            case DISCONNECTED -> Outcome.CONNECTED;
            case REQUESTED, ACCEPTED, CALLING_A, CALLING_B, CONNECTED, UNKNOWN_DEFAULT_OPEN_API -> null;
          };
          if (outcome != null) return outcome;
        }
      } catch (ApiException failure) {
        var code = failure.getCode();
        var told = reason(failure).map(ErrorResponse::getErrorCode).orElse("");
        if (code == 401 || code == 403 || code == 400 && told.equals("BAD_CREDENTIALS")) {
          throw new Ended(Outcome.LOST_SIGHT, "The callback goes on, unseen: " + shown(failure));
        }
        tell("Asking again: " + shown(failure));
        var after = Optional.ofNullable(failure.getResponseHeaders()).flatMap(headers -> headers.firstValue("Retry-After"));
        var seconds = after.filter(text -> text.matches("\\d+")).map(Double::valueOf).orElse(0.0); // A date is not understood.
        wait = Math.max(pause, Math.min(seconds, LONGEST_PAUSE));
      }
      Thread.sleep((long) (wait * 1000));
    }
  }

  private static Optional<ErrorResponse> reason(ApiException failure) {
    try {
      return Optional.ofNullable(JSON.readValue(failure.getResponseBody(), ErrorResponse.class));
    } catch (JsonProcessingException | IllegalArgumentException noJson) {
      return Optional.empty();
    }
  }

  private static String shown(ApiException failure) {
    // What Jackson says quotes the answer, and may begin or end within the access key.
    if (failure.getCause() instanceof JsonProcessingException) return "an answer that is not understood";
    if (failure.getCode() == 0) return String.valueOf(failure.getCause());
    return "HTTP " + failure.getCode() + " " + reason(failure).map(ErrorResponse::getErrorMessage).orElse("");
  }

  /** Tells people. */
  private static void tell(String text) {
    System.err.println(hidden(text));
  }

  /** Without the access key, which what TENIOS or an exception says may repeat. */
  private static String hidden(String text) {
    return ACCESS_KEY.isEmpty() ? text : text.replace(ACCESS_KEY, "***");
  }

  private static String or(String text, String fallback) {
    return text == null || text.isEmpty() ? fallback : text;
  }
}
