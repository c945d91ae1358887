import java.net.URI;
import java.net.http.*;

public class Trial {
  public static void main(String[] arguments) throws Exception {
    System.out.println("Java " + Runtime.version().feature());
    var client = HttpClient.newBuilder()
        .followRedirects(HttpClient.Redirect.NEVER) // careful
        .build();
    for (int i = 0; i < 2; i++) {
      try {
        var request = HttpRequest.newBuilder(URI.create(arguments[0]))
            .POST(HttpRequest.BodyPublishers.ofString("{}"))
            .build();
        var response = client.send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(response.statusCode());
      } catch (java.io.IOException error) {
        System.out.println(error);
      }
    }
  }
}
