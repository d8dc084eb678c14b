package org.threegate.testing;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A page in a headless Chromium that a test controls through the DevTools protocol. Tests are
 * skipped with a message if there is no Chromium.
 */
public final class BrowserTab implements AutoCloseable {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final int LONGEST_WAIT_SECONDS = 60;
  private static final int POLL_MILLIS = 50;

  private final Process browser;
  private final AtomicInteger calls = new AtomicInteger();
  private final Map<Integer, CompletableFuture<JsonNode>> open = new ConcurrentHashMap<>();
  private final List<String> complaints = new CopyOnWriteArrayList<>();
  private final List<String> requests = new CopyOnWriteArrayList<>();
  private final CompletableFuture<Void> loaded = new CompletableFuture<>();
  private volatile WebSocket socket;
  private CompletableFuture<?> sent = CompletableFuture.completedFuture(null);

  private BrowserTab(Process browser) {
    this.browser = browser;
  }

  /**
   * Opens a page and waits until it is loaded.
   *
   * @param scratch directory for files of the browser
   * @param policy whether the page's Content-Security-Policy is enforced; if not, only the page
   *     itself prevents that text runs as a script
   */
  public static BrowserTab open(URI address, Path scratch, boolean policy)
      throws IOException, InterruptedException {
    Path profile = Files.createTempDirectory(scratch, "tab");
    Process process =
        new ProcessBuilder(
                Browser.command(
                    address,
                    profile,
                    "--remote-debugging-port=0",
                    "--window-size=1280,900",
                    "--hide-scrollbars",
                    "about:blank"))
            .redirectErrorStream(true)
            .redirectOutput(profile.resolve("browser.log").toFile())
            .start();
    BrowserTab tab = new BrowserTab(process);
    try {
      tab.connect(profile.resolve("browser").resolve("DevToolsActivePort"));
      for (String domain : List.of("Page", "Runtime", "Log", "Network")) {
        tab.call(domain + ".enable", MAPPER.createObjectNode());
      }
      tab.call("Page.setBypassCSP", MAPPER.createObjectNode().put("enabled", !policy));
      tab.call("Page.navigate", MAPPER.createObjectNode().put("url", address.toString()));
      wait(tab.loaded, address.toString());
      return tab;
    } catch (IOException | InterruptedException | RuntimeException e) {
      tab.close();
      throw e;
    }
  }

  private void connect(Path portFile) throws IOException, InterruptedException {
    int port = port(portFile);
    HttpClient client = HttpClient.newHttpClient();
    URI list = URI.create("http://127.0.0.1:" + port + "/json/list");
    JsonNode tabs =
        MAPPER.readTree(
            client
                .send(HttpRequest.newBuilder(list).build(), HttpResponse.BodyHandlers.ofString())
                .body());
    for (JsonNode own : tabs) {
      if (own.path("type").asText().equals("page")) {
        URI address = URI.create(own.path("webSocketDebuggerUrl").asText());
        socket = wait(client.newWebSocketBuilder().buildAsync(address, new Messages()), "tab");
        return;
      }
    }
    throw new IOException("the browser has no page: " + tabs);
  }

  private int port(Path file) throws IOException, InterruptedException {
    for (int i = 0; i < LONGEST_WAIT_SECONDS * 1000 / POLL_MILLIS && browser.isAlive(); i++) {
      if (Files.exists(file)) {
        List<String> lines = Files.readAllLines(file);
        if (lines.size() > 1) {
          return Integer.parseInt(lines.get(0));
        }
      }
      Thread.sleep(POLL_MILLIS);
    }
    throw new IOException("the browser did not start");
  }

  private static <T> T wait(CompletableFuture<T> future, String what)
      throws IOException, InterruptedException {
    try {
      return future.get(LONGEST_WAIT_SECONDS, TimeUnit.SECONDS);
    } catch (ExecutionException | TimeoutException e) {
      throw new IOException("the browser did not answer: " + what, e);
    }
  }

  /** Receives messages of the browser, which arrive in parts. */
  private final class Messages implements WebSocket.Listener {
    private final StringBuilder text = new StringBuilder();

    @Override
    public CompletionStage<?> onText(WebSocket from, CharSequence part, boolean last) {
      text.append(part);
      if (last) {
        try {
          message(MAPPER.readTree(text.toString()));
        } catch (IOException e) {
          complaints.add("not JSON: " + e.getMessage());
        }
        text.setLength(0);
      }
      from.request(1);
      return null;
    }
  }

  private void message(JsonNode message) {
    JsonNode parameters = message.path("params");
    switch (message.path("method").asText()) {
      case "" -> {
        CompletableFuture<JsonNode> call = open.remove(message.path("id").asInt());
        if (call != null) {
          call.complete(message);
        }
      }
      case "Page.loadEventFired" -> loaded.complete(null);
      case "Page.javascriptDialogOpening" -> {
        complaints.add("dialog: " + parameters.path("message").asText());
        send("Page.handleJavaScriptDialog", MAPPER.createObjectNode().put("accept", false));
      }
      case "Runtime.exceptionThrown" ->
          complaints.add(
              "exception: "
                  + parameters.path("exceptionDetails").path("exception").path("description"));
      case "Runtime.consoleAPICalled" -> complaints.add("console: " + parameters.path("args"));
      case "Log.entryAdded" -> complaints.add("log: " + parameters.path("entry").path("text"));
      case "Network.requestWillBeSent" ->
          requests.add(parameters.path("request").path("url").asText());
      default -> {}
    }
  }

  private CompletableFuture<JsonNode> send(String method, ObjectNode parameters) {
    int id = calls.incrementAndGet();
    CompletableFuture<JsonNode> answer = new CompletableFuture<>();
    open.put(id, answer);
    ObjectNode message = MAPPER.createObjectNode().put("id", id).put("method", method);
    message.set("params", parameters);
    synchronized (open) {
      // A socket accepts one message at a time.
      sent = sent.thenCompose(done -> socket.sendText(message.toString(), true));
    }
    return answer;
  }

  private JsonNode call(String method, ObjectNode parameters)
      throws IOException, InterruptedException {
    JsonNode answer = wait(send(method, parameters), method);
    if (answer.has("error")) {
      throw new IOException(method + ": " + answer.path("error"));
    }
    return answer.path("result");
  }

  /** Returns the value of an expression in the page. Promises are awaited. */
  public JsonNode evaluate(String expression) throws IOException, InterruptedException {
    JsonNode result =
        call(
            "Runtime.evaluate",
            MAPPER
                .createObjectNode()
                .put("expression", expression)
                .put("returnByValue", true)
                .put("awaitPromise", true)
                .put("allowUnsafeEvalBlockedByCSP", false));
    if (result.has("exceptionDetails")) {
      throw new IOException(expression + ": " + result.path("exceptionDetails"));
    }
    return result.path("result").path("value");
  }

  /** Moves the mouse to a point of the window, in pixels. */
  public void move(double x, double y) throws IOException, InterruptedException {
    call(
        "Input.dispatchMouseEvent",
        MAPPER.createObjectNode().put("type", "mouseMoved").put("x", x).put("y", y));
  }

  /** Writes a picture of the window as PNG. */
  public void picture(Path file) throws IOException, InterruptedException {
    JsonNode taken = call("Page.captureScreenshot", MAPPER.createObjectNode());
    Files.write(file, Base64.getDecoder().decode(taken.path("data").asText()));
  }

  /** Returns exceptions, dialogs, console messages and violations of the policy. */
  public List<String> complaints() {
    return List.copyOf(complaints);
  }

  /** Returns the addresses that were requested, the page first. */
  public List<String> requests() {
    return List.copyOf(requests);
  }

  @Override
  public void close() {
    List<ProcessHandle> all = new ArrayList<>(browser.descendants().toList());
    all.add(browser.toHandle());
    all.forEach(ProcessHandle::destroyForcibly);
    all.forEach(
        process -> process.onExit().orTimeout(LONGEST_WAIT_SECONDS, TimeUnit.SECONDS).join());
  }
}
