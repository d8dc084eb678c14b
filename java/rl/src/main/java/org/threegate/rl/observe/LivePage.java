package org.threegate.rl.observe;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.threegate.checkpoint.PagePolicy;
import org.threegate.rl.event.Metric;
import org.threegate.rl.event.MetricKind;
import org.threegate.rl.event.SampledCompletion;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.run.PrintableText;

/**
 * Serves a web page that plots the metrics of a run while it goes on, beside those of null models.
 * A table has some completions of the last step with their rewards. The page is only reachable on
 * the loopback interface, and only under the names of this machine. It keeps up to 64 million
 * characters of events; beyond that, every other one of the older events is dropped.
 *
 * <pre>{@code
 * try (LivePage page = LivePage.open(0, 100)) {
 *   System.out.println("watch it at " + page.address());
 *   trainer.run(page);
 * }
 * }</pre>
 */
public final class LivePage implements TrainingObserver, AutoCloseable {
  private static final Pattern FROM = Pattern.compile("from=(\\d{1,9})");
  private static final int LONGEST_ANSWER = 1 << 18;
  private static final int MOST_CHARACTERS = 64_000_000;
  private static final int MOST_COMPLETIONS = 32; // of a step
  private static final int LONGEST_TEXT = 2000; // characters of a prompt or a completion
  private static final int MOST_KINDS = 10_000; // metrics whose kinds are told
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private final LoopbackServer server;
  private final long steps;
  private final long most;
  private final byte[] page;
  private final String policy;
  private final List<Row> rows = new ArrayList<>();
  private final Map<String, MetricKind> kinds = new LinkedHashMap<>();
  private long characters;
  private long told;
  private Samples samples = new Samples(0, List.of());

  /** The completions of a step. */
  private record Samples(long step, List<SampledCompletion> completions) {}

  /** An event as JSON, and its number. */
  private record Row(long number, String json) {}

  private LivePage(int port, long steps, long most, String page) throws IOException {
    this.steps = steps;
    this.most = most;
    this.page = page.getBytes(StandardCharsets.UTF_8);
    this.policy =
        PagePolicy.of(page) + "; trusted-types 'none'; connect-src 'self'; frame-ancestors 'none'";
    this.server = LoopbackServer.open(port, this::answer);
  }

  /**
   * Starts serving the page.
   *
   * @param port the port to listen on; 0 chooses a free one
   * @param steps the number of steps of the run
   * @return the page
   * @throws IOException when the port cannot be opened
   */
  public static LivePage open(int port, long steps) throws IOException {
    return open(port, steps, MOST_CHARACTERS);
  }

  /**
   * Starts serving the page, with another bound on the events that it keeps.
   *
   * @param most the maximal number of characters
   */
  static LivePage open(int port, long steps, long most) throws IOException {
    try (InputStream in = LivePage.class.getResourceAsStream("page.html")) {
      String page = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      return new LivePage(port, steps, most, page.replace("\r\n", "\n"));
    }
  }

  /** {@return the address of the page} */
  public URI address() {
    return URI.create("http://127.0.0.1:" + server.port() + "/");
  }

  @Override
  public void on(TrainingEvent event) {
    String row = EventRow.of(event, PrintableText::name);
    List<SampledCompletion> completions =
        SampledText.spread(event.details().completions(), MOST_COMPLETIONS);
    synchronized (rows) {
      if (!completions.isEmpty()) {
        samples = new Samples(event.step(), List.copyOf(completions));
      }
      for (Metric metric : event.typed()) {
        if (kinds.size() < MOST_KINDS) {
          kinds.putIfAbsent(PrintableText.name(metric.name()), metric.kind());
        }
      }
      rows.add(new Row(told++, row));
      characters += row.length();
      while (characters > most && rows.size() > 2) {
        thin();
      }
    }
  }

  /** Drops every other event of the older half. */
  private void thin() {
    List<Row> all = List.copyOf(rows);
    rows.clear();
    for (int i = 0; i < all.size(); i++) {
      if (i % 2 == 0 || i > all.size() / 2) {
        rows.add(all.get(i));
      } else {
        characters -= all.get(i).json().length();
      }
    }
  }

  private HttpAnswer answer(HttpRequest request) {
    return switch (request.path()) {
      case "/" ->
          new HttpAnswer(
              HttpAnswer.OK,
              "text/html; charset=utf-8",
              Map.of("Content-Security-Policy", policy),
              page);
      case "/events" -> events(request.query());
      case "/completions" -> completions();
      case "/kinds" -> kinds();
      default -> HttpAnswer.text(HttpAnswer.NOT_FOUND, "not found");
    };
  }

  /** Returns the units of metrics, and whether their axes begin at zero. */
  private HttpAnswer kinds() {
    ObjectNode answer = MAPPER.createObjectNode();
    synchronized (rows) {
      kinds.forEach(
          (name, kind) ->
              answer.putObject(name).put("unit", kind.unit()).put("zero", kind.hasZero()));
    }
    return new HttpAnswer(
        HttpAnswer.OK,
        "application/json",
        Map.of(),
        answer.toString().getBytes(StandardCharsets.UTF_8));
  }

  /** Returns some completions of the last step that had any. */
  private HttpAnswer completions() {
    Samples last;
    synchronized (rows) {
      last = samples;
    }
    ObjectNode answer = MAPPER.createObjectNode().put("step", last.step());
    ArrayNode array = answer.putArray("completions");
    last.completions()
        .forEach(
            own ->
                array.add(
                    SampledText.row(
                        own,
                        LONGEST_TEXT,
                        text -> SampledText.printable(text, LONGEST_TEXT),
                        PrintableText::name)));
    return new HttpAnswer(
        HttpAnswer.OK,
        "application/json",
        Map.of(),
        answer.toString().getBytes(StandardCharsets.UTF_8));
  }

  /** Returns events from a number on, as many as fit into one response. */
  private HttpAnswer events(String query) {
    Matcher asked = FROM.matcher(query);
    long from = asked.matches() ? Long.parseLong(asked.group(1)) : 0;
    StringBuilder array = new StringBuilder("[");
    long next;
    long all;
    long sampled;
    synchronized (rows) {
      sampled = samples.step();
      int index = rows.size();
      while (index > 0 && rows.get(index - 1).number() >= from) {
        index--;
      }
      next = Math.min(from, told);
      all = told;
      while (index < rows.size() && array.length() < LONGEST_ANSWER) {
        Row row = rows.get(index++);
        array.append(array.length() == 1 ? "" : ",").append(row.json());
        next = row.number() + 1;
      }
    }
    return new HttpAnswer(
        HttpAnswer.OK,
        "application/json",
        Map.of(
            "x-steps", Long.toString(steps),
            "x-next", Long.toString(next),
            "x-events", Long.toString(all),
            "x-completions", Long.toString(sampled)),
        array.append(']').toString().getBytes(StandardCharsets.UTF_8));
  }

  @Override
  public void close() {
    server.close();
  }
}
