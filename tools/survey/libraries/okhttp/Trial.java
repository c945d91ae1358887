import okhttp3.*;

public class Trial {
  public static void main(String[] arguments) throws Exception {
    System.out.println("OkHttp " + OkHttp.VERSION);
    var client = new OkHttpClient();
    for (int i = 0; i < 2; i++) {
      RequestBody body = new RequestBody() {
        public MediaType contentType() { return MediaType.get("application/json"); }
        public long contentLength() { return 2; }
        public void writeTo(okio.BufferedSink sink) throws java.io.IOException {
          sink.writeUtf8("{}");
        }
        @Override public boolean isOneShot() { return true; } // careful
      };
      var request = new Request.Builder().url(arguments[0]).post(body).build();
      try (var response = client.newCall(request).execute()) {
        System.out.println(response.code() + response.body().string());
      } catch (java.io.IOException error) {
        System.out.println(error);
      }
    }
    System.exit(0);
  }
}
