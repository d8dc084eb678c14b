package org.threegate.rl.observe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.rl.event.SampledCompletion;
import org.threegate.rl.event.StepDetails;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.testing.BrowserTab;
import org.threegate.testing.HostileText;

/** Tests the live page over sockets, with clients that behave as no browser does. */
@Timeout(120)
class LivePageTest {
  /** More connections than the server keeps open at once. */
  private static final int MANY = 150;

  private static final int GUARD_MILLIS = 30_000;
  private static final String HOST = "Host: localhost\r\n";

  @TempDir Path directory;

  private final List<Socket> sockets = new ArrayList<>();

  @AfterEach
  void hangUp() throws IOException {
    for (Socket socket : sockets) {
      socket.close();
    }
  }

  private Socket connect(int port, String sent) throws IOException {
    Socket socket = new Socket("127.0.0.1", port);
    sockets.add(socket);
    socket.setSoTimeout(GUARD_MILLIS);
    socket.getOutputStream().write(sent.getBytes(StandardCharsets.ISO_8859_1));
    return socket;
  }

  private String ask(int port, String sent) throws IOException {
    return new String(connect(port, sent).getInputStream().readAllBytes(), StandardCharsets.UTF_8);
  }

  private static boolean isOver(Socket socket) throws IOException {
    try {
      return socket.getInputStream().read() < 0;
    } catch (SocketException reset) {
      return true;
    }
  }

  private static TrainingEvent event(long step, String... names) {
    Map<String, Double> metrics = new LinkedHashMap<>();
    for (String name : names) {
      metrics.put(name, 0.25 * step);
    }
    return new TrainingEvent.Measured(step, "test", metrics);
  }

  /** Incomplete requests from more clients than the server keeps open do not block others. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nhalf"
      })
  void halfOfARequestBlocksNobody(String half) throws IOException {
    try (LivePage page = LivePage.open(0, 9)) {
      page.on(event(1, "reward"));
      int port = page.address().getPort();
      for (int i = 0; i < MANY; i++) {
        connect(port, half);
      }
      assertThat(ask(port, "GET /events HTTP/1.1\r\n" + HOST + "\r\n"))
          .startsWith("HTTP/1.1 200 OK\r\n")
          .endsWith("[{\"step\":1,\"event\":\"test\",\"reward\":0.25}]");
    }
  }

  /** Clients that do not read a response larger than the socket buffer do not block others. */
  @Test
  void anAnswerThatIsNotReadBlocksNobody() throws IOException {
    HttpAnswer large = new HttpAnswer(HttpAnswer.OK, "text/plain", Map.of(), new byte[1 << 24]);
    HttpAnswer small = HttpAnswer.text(HttpAnswer.OK, "small");
    try (LoopbackServer server =
        LoopbackServer.open(0, request -> request.path().equals("/large") ? large : small)) {
      for (int i = 0; i < MANY; i++) {
        connect(server.port(), "GET /large HTTP/1.1\r\n" + HOST + "\r\n");
      }
      assertThat(ask(server.port(), "GET / HTTP/1.1\r\n" + HOST + "\r\n")).endsWith("small");
      assertThat(ask(server.port(), "GET /large HTTP/1.1\r\n" + HOST + "\r\n").length())
          .isGreaterThan(1 << 24);
    }
  }

  /** A client that is silent or sends single bytes is disconnected at the deadline. */
  @Test
  void whoIsSlowHasADeadline() throws Exception {
    try (LoopbackServer server =
        LoopbackServer.open(
            0, request -> HttpAnswer.text(HttpAnswer.OK, "small"), Duration.ofMillis(500))) {
      Socket silent = connect(server.port(), "GET / HT");
      assertThat(isOver(silent)).isTrue();
      Socket trickling = connect(server.port(), "GET / HTTP/1.1\r\nX: ");
      assertThatThrownBy(
              () -> {
                for (int i = 0; i < 300; i++) {
                  trickling.getOutputStream().write('x');
                  Thread.sleep(100);
                }
              })
          .isInstanceOf(SocketException.class);
      assertThat(ask(server.port(), "GET / HTTP/1.1\r\n" + HOST + "\r\n")).endsWith("small");
    }
  }

  @Test
  void aRequestInPiecesIsOne() throws Exception {
    try (LivePage page = LivePage.open(0, 9)) {
      Socket socket = connect(page.address().getPort(), "");
      for (byte b :
          ("GET /events HTTP/1.1\r\n" + HOST + "\r\n").getBytes(StandardCharsets.US_ASCII)) {
        socket.getOutputStream().write(b);
        socket.getOutputStream().flush();
      }
      assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
          .endsWith("[]");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "get"})
  void otherMethodsAreNotAllowed(String method) throws IOException {
    try (LivePage page = LivePage.open(0, 9)) {
      assertThat(
              ask(
                  page.address().getPort(),
                  method + " /events HTTP/1.1\r\n" + HOST + "Content-Length: 3\r\n\r\nabc"))
          .startsWith("HTTP/1.1 405 Method Not Allowed\r\n")
          .contains("\r\nAllow: GET, HEAD\r\n");
    }
  }

  @Test
  void aHeadHasNoBody() throws IOException {
    try (LivePage page = LivePage.open(0, 9)) {
      int port = page.address().getPort();
      String got = ask(port, "GET / HTTP/1.1\r\n" + HOST + "\r\n");
      int end = got.indexOf("\r\n\r\n") + 4;
      assertThat(got.substring(end)).startsWith("<!doctype html>");
      assertThat(ask(port, "HEAD / HTTP/1.1\r\n" + HOST + "\r\n")).hasSize(end);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Host: evil.example",
        "Host: 127.0.0.1.evil.example",
        "Host: localhost.evil.example:80",
        "Host: evil.example@localhost",
        "Host: [::1]",
        "Host:",
        "X-Host: localhost"
      })
  void otherHostsAreRefused(String field) throws IOException {
    try (LivePage page = LivePage.open(0, 9)) {
      page.on(event(1, "reward"));
      assertThat(ask(page.address().getPort(), "GET /events HTTP/1.1\r\n" + field + "\r\n\r\n"))
          .startsWith("HTTP/1.1 403 Forbidden\r\n")
          .doesNotContain("reward")
          .doesNotContain("evil");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\r\n\r\n",
        "hello\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /\u00e4 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        "GET / HTTP/1.1\nHost: localhost\n\r\n\r\n",
        "\u0016\u0003\u0001\u0002\r\n\r\n"
      })
  void whatIsNoRequestIsRefused(String sent) throws IOException {
    try (LivePage page = LivePage.open(0, 9)) {
      assertThat(ask(page.address().getPort(), sent)).startsWith("HTTP/1.1 400 Bad Request\r\n");
    }
  }

  @Test
  void otherPathsAreNotFound() throws IOException {
    try (LivePage page = LivePage.open(0, 9)) {
      for (String path :
          List.of("/x", "/events/", "//", "/../etc/passwd", "/%2e%2e", "http://localhost/", "*")) {
        assertThat(ask(page.address().getPort(), "GET " + path + " HTTP/1.1\r\n" + HOST + "\r\n"))
            .startsWith("HTTP/1.1 404 Not Found\r\n");
      }
    }
  }

  @Test
  void aRequestHasALength() throws IOException {
    try (LivePage page = LivePage.open(0, 9)) {
      int port = page.address().getPort();
      String answer = ask(port, "GET /" + "x".repeat(HttpRequest.LONGEST) + " HTTP/1.1\r\n");
      assertThat(answer).startsWith("HTTP/1.1 431 ");
      assertThat(ask(port, "GET / HTTP/1.1\r\n" + HOST + "\r\n")).contains("<!doctype html>");
    }
  }

  @Test
  void browsersAreToldWhatNotToDo() throws IOException {
    try (LivePage page = LivePage.open(0, 9)) {
      int port = page.address().getPort();
      for (String request : List.of("GET / ", "GET /events ", "GET /none ", "POST / ", "bad ")) {
        assertThat(ask(port, request + "HTTP/1.1\r\n" + HOST + "\r\n"))
            .contains("\r\nX-Content-Type-Options: nosniff\r\n")
            .contains("\r\nReferrer-Policy: no-referrer\r\n")
            .contains("\r\nCache-Control: no-store\r\n")
            .contains("\r\nCross-Origin-Resource-Policy: same-origin\r\n")
            .containsOnlyOnce("\r\nContent-Security-Policy: default-src 'none';")
            .contains("frame-ancestors 'none'")
            .doesNotContain("unsafe-inline");
      }
    }
  }

  /** Closing the page ends open connections at once and leaves no thread. */
  @Test
  void theEndWaitsForNobody() throws Exception {
    LivePage page = LivePage.open(0, 9);
    int port = page.address().getPort();
    Socket half = connect(port, "GET / HT");
    page.close();
    page.close();
    assertThat(isOver(half)).isTrue();
    assertThat(Thread.getAllStackTraces().keySet())
        .extracting(Thread::getName)
        .doesNotContain("threegate-page");
    assertThatThrownBy(() -> connect(port, "")).isInstanceOf(IOException.class);
    assertThatThrownBy(() -> LivePage.open(-1, 9)).isInstanceOf(IllegalArgumentException.class);
  }

  /** Events are sent in bounded parts. If there are too many, some of the old ones are dropped. */
  @Test
  void whatIsKeptAndSentIsBounded() throws IOException {
    int count = 20_000;
    long most = 1_000_000;
    try (LivePage page = LivePage.open(0, count, most)) {
      for (int step = 0; step < count; step++) {
        page.on(event(step, "a metric with a name of some length"));
      }
      List<Long> steps = new ArrayList<>();
      long characters = 0;
      String next = "0";
      do {
        String answer =
            ask(
                page.address().getPort(),
                "GET /events?from=" + next + " HTTP/1.1\r\n" + HOST + "\r\n");
        String body = answer.substring(answer.indexOf("\r\n\r\n") + 4);
        assertThat(body.length()).isLessThan(1 << 19);
        characters += body.length();
        for (JsonNode row : new ObjectMapper().readTree(body)) {
          steps.add(row.path("step").asLong());
        }
        next = answer.replaceAll("(?s).*\r\nx-next: (\\d+)\r\n.*", "$1");
      } while (Integer.parseInt(next) < count);
      assertThat(characters).isBetween(most / 4, most + steps.size());
      assertThat(steps).isSorted().doesNotHaveDuplicates().startsWith(0L).endsWith(count - 1L);
      assertThat(steps.subList(steps.size() - 100, steps.size()))
          .isEqualTo(java.util.stream.LongStream.range(count - 100, count).boxed().toList());
    }
  }

  @Test
  void foreignTextIsText() throws Exception {
    List<String> names = HostileText.names();
    for (boolean policy : new boolean[] {false, true}) {
      try (LivePage page = LivePage.open(0, 9)) {
        for (int step = 1; step < 4; step++) {
          page.on(event(step, names.toArray(String[]::new)));
          page.on(new TrainingEvent.StepSkipped(step, names.get(step), Map.of("reward", 0.5)));
          page.on(new TrainingEvent.Measured(step, names.get(step), Map.of()));
        }
        try (BrowserTab tab = BrowserTab.open(page.address(), directory, policy)) {
          assertThat(
                  tab.evaluate(
                          """
                          new Promise(done => {
                            const look = () => document.querySelectorAll("figure").length > 20 ? done(true) : setTimeout(look, 50);
                            look();
                          })""")
                      .asBoolean())
              .isTrue();
          assertThat(
                  tab.evaluate(
                          "document.querySelectorAll('img, iframe, a, base, form, [onload], [onerror], [onmouseover]').length")
                      .asInt())
              .isZero();
          String seen = tab.evaluate("document.body.textContent").asText();
          assertThat(seen).contains(names.get(0)).contains(names.get(1)).doesNotContain("\u202e");
          assertThat(tab.evaluate("document.title").asText()).isEqualTo("3/9 threegate train");
          tab.picture(
              Files.createDirectories(Path.of("target/pages"))
                  .resolve(policy ? "live.png" : "live-without-policy.png"));
          // Without the content security policy, the browser requests an icon that does not exist.
          assertThat(tab.complaints())
              .allMatch(complaint -> !policy && complaint.contains("404 (Not Found)"));
          assertThat(tab.requests())
              .allMatch(address -> address.startsWith(page.address().toString()));
        }
      }
    }
  }

  private static TrainingEvent sampled(long step, List<String> texts) {
    List<SampledCompletion> completions = new ArrayList<>();
    for (String text : texts) {
      completions.add(
          new SampledCompletion(
              text, text + "\nend", Map.of(text, 0.5), 0.25, Double.NaN, 7, completions.isEmpty()));
    }
    return new TrainingEvent.StepSkipped(
        step,
        "why",
        Map.of("constant metric", 2.5, "reward", 0.25 * step),
        new StepDetails(List.of(), completions, Map.of()));
  }

  /** Completions are a table of text, whatever they are, and of the last step that had some. */
  @Test
  void completionsAreATable() throws Exception {
    List<String> texts = new ArrayList<>(HostileText.names());
    texts.add("x".repeat(100_000));
    try (LivePage page = LivePage.open(0, 9)) {
      page.on(sampled(1, List.of("old")));
      page.on(sampled(2, texts));
      page.on(event(3, "reward"));
      int port = page.address().getPort();
      String answer = ask(port, "GET /completions HTTP/1.1\r\n" + HOST + "\r\n");
      String body = answer.substring(answer.indexOf("\r\n\r\n") + 4);
      assertThat(body.length()).isLessThan(1 << 18);
      JsonNode table = new ObjectMapper().readTree(body);
      assertThat(table.path("step").asInt()).isEqualTo(2);
      assertThat(table.path("completions")).hasSize(Math.min(32, texts.size()));
      assertThat(table.path("completions").get(0).path("reward").asDouble()).isEqualTo(0.25);
      assertThat(table.path("completions").get(0).path("advantage").isNull()).isTrue();
      try (BrowserTab tab = BrowserTab.open(page.address(), directory, true)) {
        assertThat(
                tab.evaluate(
                        """
                        new Promise(done => {
                          const look = () => document.querySelector("#samples table") ? done(true) : setTimeout(look, 50);
                          look();
                        })""")
                    .asBoolean())
            .isTrue();
        assertThat(tab.evaluate("document.querySelectorAll('#samples tr').length").asInt())
            .isEqualTo(1 + Math.min(32, texts.size()));
        assertThat(
                tab.evaluate(
                        "document.querySelectorAll('img, iframe, a, base, form, script + script, [onload], [onerror]').length")
                    .asInt())
            .isZero();
        assertThat(tab.evaluate("document.getElementById('samples').textContent").asText())
            .contains("completions of step 2")
            .contains("7, truncated")
            .doesNotContain("\u202e");
        // What is constant is a line; scales of what is not negative begin at zero.
        assertThat(tab.evaluate("document.getElementById('constant').textContent").asText())
            .isEqualTo("constant: constant metric 2.5");
        assertThat(
                tab.evaluate(
                        "[...document.querySelectorAll('figure')].map(f => f.querySelector('b').textContent"
                            + " + ' ' + f.querySelectorAll('text')[1].textContent).join()")
                    .asText())
            .isEqualTo("reward 0");
        assertThat(tab.complaints()).isEmpty();
      }
    }
  }

  /** Captions have units, and axes begin at zero where the kind of a metric has one. */
  @Test
  void axesAndUnitsFollowFromTheKinds() throws Exception {
    Map<String, Double> first = new LinkedHashMap<>();
    Map<String, Double> second = new LinkedHashMap<>();
    for (String name : List.of("loss", "entropy", "grad_norm", "__proto__", "constructor")) {
      first.put(name, 2.0);
      second.put(name, 3.0);
    }
    try (LivePage page = LivePage.open(0, 9);
        BrowserTab tab = BrowserTab.open(page.address(), directory, true)) {
      page.on(new TrainingEvent.Measured(1, "step", first));
      page.on(new TrainingEvent.Measured(2, "step", second));
      String answer = ask(page.address().getPort(), "GET /kinds HTTP/1.1\r\n" + HOST + "\r\n");
      JsonNode kinds =
          new ObjectMapper().readTree(answer.substring(answer.indexOf("\r\n\r\n") + 4));
      assertThat(kinds.path("entropy").path("unit").asText()).isEqualTo("nats");
      assertThat(kinds.path("loss").path("zero").asBoolean()).isFalse();
      assertThat(kinds).hasSize(5);
      assertThat(
              tab.evaluate(
                      """
                      new Promise(done => {
                        const look = () => document.querySelectorAll("figure").length > 4
                          ? done([...document.querySelectorAll("figure")].map(f => [...f.querySelectorAll("b, span")].map(e => e.textContent).join(" ")
                            + " from " + f.querySelectorAll("text")[1].textContent).join()) : setTimeout(look, 50);
                        look();
                      })""")
                  .asText())
          .isEqualTo(
              "loss 3 from 2,entropy 3 nats from 0,grad_norm 3 from 0,__proto__ 3 from 0,constructor 3 from 0");
      assertThat(tab.complaints()).isEmpty();
    }
  }

  /** What an environment wrote is told apart, and all turns together have one bound. */
  @Test
  void turnsOfAnEnvironmentAreToldApart() throws Exception {
    List<SampledCompletion.Part> parts =
        List.of(
            new SampledCompletion.Part(false, "<<1+1>>"),
            new SampledCompletion.Part(true, "2\u001b[31m"),
            new SampledCompletion.Part(false, "y".repeat(100_000)),
            new SampledCompletion.Part(true, "never shown"));
    SampledCompletion own = new SampledCompletion("1+1=", "all", Map.of(), 1, 0, 9, false, parts);
    TrainingEvent event =
        new TrainingEvent.StepSkipped(
            1, "why", Map.of(), new StepDetails(List.of(), List.of(own), Map.of()));
    try (LivePage page = LivePage.open(0, 9);
        BrowserTab tab = BrowserTab.open(page.address(), directory, true)) {
      page.on(event);
      assertThat(
              tab.evaluate(
                      """
                      new Promise(done => {
                        const look = () => document.querySelector("#samples .environment") ? done(true) : setTimeout(look, 50);
                        look();
                      })""")
                  .asBoolean())
          .isTrue();
      assertThat(
              tab.evaluate(
                      "[...document.querySelectorAll('#samples td.text span')].map(s => s.className"
                          + " + ':' + s.textContent.slice(0, 12)).join()")
                  .asText())
          .isEqualTo(":<<1+1>>,environment:2\\u001b[31m,:" + "y".repeat(12));
      assertThat(tab.evaluate("document.querySelector('#samples').textContent.length").asInt())
          .isLessThan(2200);
    }
    Path path = directory.resolve("turns.jsonl");
    try (CompletionLines lines = CompletionLines.open(path, 0, 1)) {
      lines.on(event);
    }
    JsonNode turns = new ObjectMapper().readTree(Files.readString(path)).path("turns");
    assertThat(turns).hasSize(3);
    assertThat(turns.get(1))
        .isEqualTo(
            new ObjectMapper()
                .createObjectNode()
                .put("environment", true)
                .put("text", "2\u001b[31m"));
    ByteArrayOutputStream console = new ByteArrayOutputStream();
    new ConsoleCompletions(new PrintStream(console, true, StandardCharsets.UTF_8), 1, 1).on(event);
    assertThat(console.toString(StandardCharsets.UTF_8))
        .contains("  completion:\n    <<1+1>>\n  environment:\n    2\\u001b[31m\n  completion:\n")
        .doesNotContain("never shown")
        .hasSizeLessThan(1200);
  }

  @Test
  void completionsAreLinesOfAFileAndOfTheConsole() throws IOException {
    List<String> texts = new ArrayList<>(HostileText.names());
    texts.add("x".repeat(100_000));
    Path path = directory.resolve("completions.jsonl");
    try (CompletionLines lines = CompletionLines.open(path, 0, 2)) {
      for (long step = 1; step <= 4; step++) {
        lines.on(sampled(step, texts));
      }
    }
    String whole = Files.readString(path);
    assertThat(whole.lines()).hasSize(2 * texts.size());
    JsonNode last = new ObjectMapper().readTree(whole.lines().reduce((a, b) -> b).orElseThrow());
    assertThat(last.path("step").asInt()).isEqualTo(4);
    assertThat(last.path("prompt").asText()).hasSize((1 << 16) + 4);
    assertThat(new ObjectMapper().readTree(whole.lines().findFirst().orElseThrow()))
        .isEqualTo(
            new ObjectMapper()
                .readTree(
                    "{\"step\":2,\"prompt\":%1$s,\"completion\":%2$s,\"rewards\":{%1$s:0.5},\"reward\":0.25,\"advantage\":null,\"length\":7,\"truncated\":true}"
                        .formatted(
                            new ObjectMapper().writeValueAsString(texts.get(0)),
                            new ObjectMapper().writeValueAsString(texts.get(0) + "\nend"))));
    // A run that resumes from step 3 writes the same.
    try (CompletionLines lines = CompletionLines.open(path, 3, 2)) {
      lines.on(sampled(4, texts));
    }
    assertThat(Files.readString(path)).isEqualTo(whole);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    ConsoleCompletions console =
        new ConsoleCompletions(new java.io.PrintStream(bytes, true, StandardCharsets.UTF_8), 5, 2);
    console.on(sampled(1, texts));
    assertThat(bytes.size()).isZero();
    console.on(sampled(2, texts));
    List<String> shown = bytes.toString(StandardCharsets.UTF_8).lines().toList();
    assertThat(shown.stream().filter(line -> line.startsWith("step 2  completion of 7 tokens")))
        .hasSize(5);
    assertThat(shown)
        .allMatch(line -> line.length() < 9000 && line.chars().noneMatch(Character::isISOControl));
  }

  /** Any text stays within its line of the file, and reaches the console without control codes. */
  @Test
  void foreignTextStaysInItsField() throws IOException {
    List<String> names = HostileText.names();
    Path path = directory.resolve("metrics.jsonl");
    ByteArrayOutputStream console = new ByteArrayOutputStream();
    try (JsonLines lines = JsonLines.open(path, 0)) {
      for (String name : names) {
        TrainingEvent skipped = new TrainingEvent.StepSkipped(1, name, Map.of("reward", 0.5));
        lines.on(skipped);
        new ConsoleProgress(new java.io.PrintStream(console, true, StandardCharsets.UTF_8), 9, 1)
            .on(skipped);
      }
    }
    List<String> read = Files.readAllLines(path);
    assertThat(read).hasSize(names.size());
    for (int i = 0; i < read.size(); i++) {
      assertThat(new ObjectMapper().readTree(read.get(i)).path("reason").asText())
          .isEqualTo(names.get(i).replace("\ud83d surrogate", "? surrogate"));
    }
    List<String> shown = console.toString(StandardCharsets.UTF_8).lines().toList();
    assertThat(shown).hasSize(names.size());
    assertThat(shown)
        .allMatch(line -> line.length() < 1000 && line.chars().noneMatch(Character::isISOControl));
  }
}
