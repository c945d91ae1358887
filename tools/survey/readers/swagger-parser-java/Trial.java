import io.swagger.v3.parser.OpenAPIV3Parser;
public class Trial {
  public static void main(String[] arguments) {
    var messages = new OpenAPIV3Parser().readLocation(arguments[0], null, null).getMessages();
    System.out.println(messages);
    System.exit(messages.isEmpty() ? 0 : 1);
  }
}
