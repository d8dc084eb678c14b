package org.threegate.rl.verifier;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.checkpoint.Json;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.BoundedVerifier.Outcome;
import org.threegate.rl.verifier.BoundedVerifier.Score;
import org.threegate.run.InvalidInputException;

class RewardSourceTest {
  private static final Duration LIMIT = Duration.ofSeconds(2);

  @TempDir Path directory;

  private static Attempt attempt(String response) {
    Problem problem = Problem.of("1+1=", "2", "").withRow("{\"prompt\":\"1+1=\",\"unit\":\"m\"}");
    return new Attempt(problem, response, new int[] {5, 6});
  }

  /** A reward function of a user. */
  public static final class Own implements Scorer, AutoCloseable {
    static int closed;

    @Override
    public Scores score(Attempt attempt) {
      return new Scores(
          attempt.tokens().length, Map.of("row", (double) attempt.problem().row().length()));
    }

    @Override
    public void close() {
      closed++;
    }
  }

  private String script(String body) throws IOException {
    Path script = directory.resolve("reward.sh");
    Files.writeString(script, body);
    return "command:sh '" + script + "'";
  }

  private static List<Score> scores(String source, Attempt... attempts) {
    return scores(source, LIMIT, attempts);
  }

  private static List<Score> scores(String source, Duration limit, Attempt... attempts) {
    try (BoundedVerifier bounded =
        new BoundedVerifier(RewardSource.of(source).open(limit), limit, 4)) {
      return bounded.scoreAll(List.of(attempts));
    }
  }

  @Test
  void sourcesHaveNames() {
    assertThat(RewardSource.of("exact").name()).isEqualTo("exact");
    assertThat(RewardSource.of("exact").needsAnswers()).isTrue();
    assertThat(RewardSource.of("style=command:./a b").name()).isEqualTo("style");
    assertThat(RewardSource.of("class:a.b.Style").name()).isEqualTo("Style");
    assertThat(RewardSource.of("https://a.b/c?d=e").target()).isEqualTo("https://a.b/c?d=e");
    assertThat(RewardSource.of("https://a.b/c").needsAnswers()).isFalse();
    assertThatThrownBy(() -> RewardSource.of("exakt"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("the reward functions are exact, numeric");
    assertThatThrownBy(() -> RewardSource.of("command: "))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void classesSeeTheWholeAttemptAndAreClosed() {
    int before = Own.closed;
    Score score = scores("class:" + Own.class.getName(), attempt("2")).get(0);
    assertThat(score.value()).isEqualTo(2);
    assertThat(score.metrics()).containsExactly(Map.entry("row", 28.0));
    assertThat(Own.closed).isEqualTo(before + 1);
    assertThatThrownBy(() -> RewardSource.of("class:no.Such").open(LIMIT))
        .isInstanceOf(InvalidInputException.class)
        .hasMessage("there is no class no.Such; add it to the class path");
    assertThatThrownBy(() -> RewardSource.of("class:java.lang.String").open(LIMIT))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("must be a public class that implements");
  }

  @Test
  void oneProcessAnswersAllQuestions() throws IOException {
    Path seen = directory.resolve("seen");
    String source =
        script(
            "n=0; while read -r line; do n=$((n+1)); echo \"$line\" >> '"
                + seen
                + "'; echo \"{\\\"score\\\": $n, \\\"metrics\\\": {\\\"m\\\": null}}\"; done");
    List<Score> scores = scores(source, attempt("a"), attempt("b"), attempt("c"));
    assertThat(scores.stream().map(Score::value)).containsExactly(1.0, 2.0, 3.0);
    assertThat(scores.get(0).metrics().get("m")).isNaN();
    assertThat(Json.parseObject(Files.readAllLines(seen).get(1), "seen"))
        .isEqualTo(
            Json.parseObject(
                "{\"id\":2,\"prompt\":\"1+1=\",\"completion\":\"b\",\"answer\":\"2\","
                    + "\"tokens\":[5,6],\"row\":{\"prompt\":\"1+1=\",\"unit\":\"m\"}}",
                "expected"));
  }

  @Test
  void missingScoresAreNoFailures() throws IOException {
    Score score =
        scores(script("while read -r line; do echo '{\"score\": null}'; done"), attempt("a"))
            .get(0);
    assertThat(score.value()).isNaN();
    assertThat(score.outcome()).isEqualTo(Outcome.MISSING);
    assertThat(score.failed()).isFalse();
  }

  /** A process that hangs, ends, answers without end or wrongly is replaced by another one. */
  @Test
  void commandsAreRestarted() throws IOException {
    String source =
        script(
            "while read -r line; do case \"$line\" in"
                + " *hang*) sleep 100;; *end*) exit 3;; *long*) cat /dev/zero;;"
                + " *wrong*) echo '{\"score\": \"1\"}'; echo '{\"score\": 7}';;"
                + " *) echo '{\"score\": 1}';; esac; done");
    List<Score> scores =
        scores(
            source,
            Duration.ofSeconds(2),
            attempt("hang"),
            attempt("a"),
            attempt("end"),
            attempt("b"),
            attempt("long"),
            attempt("c"),
            attempt("wrong"),
            attempt("d"));
    assertThat(scores.stream().map(Score::value))
        .containsExactly(0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0);
    assertThat(scores.get(0).outcome()).isEqualTo(Outcome.TIMED_OUT);
    assertThat(scores.get(2).outcome()).isEqualTo(Outcome.CRASHED);
  }

  @Test
  void processesEndWithTheFunction() throws Exception {
    Path id = directory.resolve("id");
    String source =
        script("echo $$ > '" + id + "'; while read -r line; do echo '{\"score\": 1}'; done");
    assertThat(scores(source, attempt("a")).get(0).value()).isEqualTo(1);
    long process = Long.parseLong(Files.readString(id).strip());
    ProcessHandle.of(process)
        .ifPresent(handle -> assertThat(handle.onExit().join().isAlive()).isFalse());
    assertThatThrownBy(() -> RewardSource.of("command:/no/such").open(LIMIT))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("cannot be started");
  }

  @Test
  void servicesAreAsked() throws IOException {
    AtomicReference<String> seen = new AtomicReference<>("");
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/",
        exchange -> {
          seen.set(new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
          byte[] answer =
              seen.get().contains("\"long\"")
                  ? new byte[RewardJson.LONGEST_ANSWER + 1]
                  : "{\"score\": 0.5}".getBytes(StandardCharsets.UTF_8);
          exchange.sendResponseHeaders(seen.get().contains("\"bad\"") ? 500 : 200, answer.length);
          if (!seen.get().contains("\"late\"")) {
            exchange.getResponseBody().write(answer);
            exchange.close();
          }
        });
    server.start();
    try {
      String source = "http://127.0.0.1:" + server.getAddress().getPort() + "/score";
      Duration limit = Duration.ofSeconds(20);
      List<Score> scores = scores(source, limit, attempt("a"), attempt("bad"), attempt("long"));
      assertThat(scores.stream().map(Score::value)).containsExactly(0.5, 0.0, 0.0);
      assertThat(scores.subList(1, 3)).allMatch(score -> score.outcome() == Outcome.CRASHED);
      Score late = scores(source, Duration.ofMillis(500), attempt("late")).get(0);
      assertThat(late.failed()).isTrue();
      assertThat(seen.get()).contains("\"row\":{\"prompt\":\"1+1=\",\"unit\":\"m\"}");
    } finally {
      server.stop(0);
    }
  }
}
