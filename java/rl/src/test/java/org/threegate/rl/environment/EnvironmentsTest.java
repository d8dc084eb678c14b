package org.threegate.rl.environment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.threegate.rl.environment.BoundedEnvironment.Session;
import org.threegate.rl.task.Message;
import org.threegate.rl.task.Problem;
import org.threegate.run.InvalidInputException;

class EnvironmentsTest {
  private static final Problem PROBLEM = Problem.of("12*34=", "408", "");
  private static final Duration LIMIT = Duration.ofMillis(300);

  private static String result(String text) throws Exception {
    return new Calculator().start(PROBLEM, 0).reply(text).messages().get(0).content();
  }

  @ParameterizedTest
  @CsvSource({
    "<<12*34>>,408",
    "<<1/3+1/6>>,1/2",
    "<<0.1+0.2>>,3/10",
    "<< ( 2 - 5 ) * -.5 >>,3/2",
    "<<2--3>>,5",
    "<<8÷2×3−1>>,11",
    "<<99999999999999999999*99999999999999999999>>,9999999999999999999800000000000000000001",
    "so <<1+1>> and <<2+2>>,4",
    "<<1/0>>,error: division by zero",
    "<<2*(1-1)/(3-3)>>,error: division by zero",
    "<<1+>>,error: the expression is not complete",
    "<<>>,error: the expression is not complete",
    "<<(1>>,error: the expression is not complete",
    "<<1 2>>,error: character 3 of the expression is wrong",
    "<<x>>,error: character 1 of the expression is wrong",
    "<<1e9>>,error: character 2 of the expression is wrong",
    "<tool_call>[1]</tool_call>,error: the call is not JSON",
    "<tool_call>{</tool_call>,error: the call is not JSON",
    "<tool_call>{}</tool_call>,error: the only tool is calculator"
  })
  void aCalculatorIsExact(String text, String wanted) throws Exception {
    assertThat(result(text)).isEqualTo(wanted);
  }

  @Test
  void aCalculatorReadsCallsOfChatModels() throws Exception {
    String call = "<tool_call>\n{\"name\":\"calculator\",\"arguments\":%s}\n</tool_call>";
    assertThat(result("I ask. " + String.format(call, "{\"expression\": \"7/4*2\"}")))
        .isEqualTo("7/2");
    assertThat(result(String.format(call, "{\"expression\": 7}")))
        .isEqualTo("error: the argument \"expression\" is missing");
    assertThat(result(String.format(call, "\"7\""))).startsWith("error: the argument");
    Reply done = new Calculator().start(PROBLEM, 0).reply("It is 408.");
    assertThat(done.isDone()).isTrue();
    assertThat(done.reward()).isNaN();
    assertThat(done.metrics()).isEqualTo(Map.of("calls", 0.0, "failed_calls", 0.0));
    assertThat(new Calculator().start(PROBLEM, 0).reply("<<1/0>>").metrics())
        .isEqualTo(Map.of("calls", 1.0, "failed_calls", 1.0));
  }

  /** Long, deep and large expressions are refused, or take little time and memory. */
  @Test
  void aCalculatorIsBounded() throws Exception {
    String longest = "error: the expression is longer than 200 characters";
    assertThat(result("<<" + "9".repeat(1_000_000) + ">>")).isEqualTo(longest);
    assertThat(result("<<" + "(".repeat(500_000) + ">>")).isEqualTo(longest);
    assertThat(result("<<" + "(".repeat(200) + ">>")).contains("not complete");
    assertThat(result("<<" + "-".repeat(199) + "1>>")).isEqualTo("-1");
    assertThat(result("<<" + "9*".repeat(99) + "9>>")).hasSizeLessThan(201);
    assertThat(result("<<1" + "/99".repeat(66) + ">>")).hasSizeLessThan(201);
    assertThat(result("<tool_call>" + "[".repeat(4000) + "</tool_call>")).contains("not JSON");
    assertThat(result("<tool_call>" + " ".repeat(5000) + "</tool_call>")).contains("longer than");
    assertThat(new Calculator().start(PROBLEM, 0).reply("<<".repeat(500_000)).isDone()).isTrue();
  }

  @ParameterizedTest
  @CsvSource({
    "3*5+9,'3*5+9 is 24, not 26.'",
    "3/5,'3/5 is 3/5, not 26.'",
    "3*7,7 is used too often or is not one of 3 5 9.",
    "3*3+5,3 is used too often or is not one of 3 5 9.",
    "3/(5-5),5 is used too often or is not one of 3 5 9.",
    "3 5 9,There is no expression of 3 5 9.",
    "(3-5,'(3-5 has no value.'",
    "'',There is no expression of 3 5 9."
  })
  void countdownTellsWhatIsWrong(String text, String feedback) throws Exception {
    Episode episode = new Countdown().start(Problem.of("", "26 from 3 5 9", ""), 0);
    Reply reply = episode.reply(text);
    assertThat(reply.isDone()).isFalse();
    assertThat(reply.reward()).isZero();
    assertThat(reply.messages())
        .containsExactly(new Message("user", "\n" + feedback + " Try again.\n"));
    Reply solved = episode.reply("So (3*9)-5+... no, <think>3*5</think> 9*3-5");
    assertThat(solved.messages().get(0).content()).contains("9*3-5 is 22");
  }

  @Test
  void countdownEndsWhereTheTargetIsMade() throws Exception {
    Episode episode = new Countdown().start(Problem.of("", "24 from 3 5 9", ""), 0);
    assertThat(episode.reply("3*5+9"))
        .isEqualTo(Reply.done(1).with("attempts", 1).with("solved", 1));
    assertThatThrownBy(() -> new Countdown().start(PROBLEM, 0))
        .hasMessageContaining("must read like \"24 from 3 5 7 9\"");
    String large = "9".repeat(4000);
    Episode hostile = new Countdown().start(Problem.of("", "1 from " + large + " 2", ""), 0);
    assertThat(hostile.reply(large.substring(0, 400) + "*2").messages().get(0).content())
        .contains("is used too often");
  }

  /** An environment of a user. */
  public static final class Own implements Environment, AutoCloseable {
    static int closed;

    @Override
    public Episode start(Problem problem, long seed) {
      return text -> Reply.done(seed);
    }

    @Override
    public void close() {
      closed++;
    }
  }

  @Test
  void environmentsAreNamed() {
    assertThat(EnvironmentSource.of("calculator").open()).isInstanceOf(Calculator.class);
    assertThat(EnvironmentSource.of("countdown").needsAnswers()).isTrue();
    EnvironmentSource own = EnvironmentSource.of("class:" + Own.class.getName());
    assertThat(own.name()).isEqualTo("EnvironmentsTest$Own");
    int before = Own.closed;
    try (BoundedEnvironment bounded = new BoundedEnvironment(own.open(), LIMIT, 1)) {
      List<Session> sessions = bounded.start(List.of(PROBLEM), new long[] {7});
      assertThat(bounded.reply(sessions, List.of("")).get(0).orElseThrow().reward()).isEqualTo(7);
    }
    assertThat(Own.closed).isEqualTo(before + 1);
    assertThatThrownBy(() -> EnvironmentSource.of("chess"))
        .hasMessage(
            "\"chess\" is not an environment; the environments are calculator, countdown and"
                + " class:NAME");
    assertThatThrownBy(() -> EnvironmentSource.of("class: "))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> EnvironmentSource.of("class:no.Such").open())
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("add it to the class path");
    assertThatThrownBy(() -> EnvironmentSource.of("class:java.lang.String").open())
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("must be a public class that implements");
  }

  /** An episode that counts how often it is closed. */
  private record Counted(Function<String, Reply> own, AtomicInteger closed) implements Episode {
    @Override
    public Reply reply(String text) {
      return own.apply(text);
    }

    @Override
    public void close() {
      closed.incrementAndGet();
    }
  }

  private static void hang() {
    try {
      new CountDownLatch(1).await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** What fails is counted, is not called again, and is closed once. Others go on. */
  @Test
  void failuresAreBounded() throws Exception {
    AtomicInteger closed = new AtomicInteger();
    Environment environment =
        (problem, seed) -> {
          switch (problem.prompt()) {
            case "no start" -> throw new IllegalStateException("no");
            case "slow start" -> hang();
            case "nothing" -> {
              return null;
            }
            default -> {}
          }
          return new Counted(
              text ->
                  switch (problem.prompt()) {
                    case "crash" -> throw new StackOverflowError();
                    case "null" -> null;
                    case "infinite" -> Reply.done(Double.POSITIVE_INFINITY);
                    case "long" -> Reply.of(new Message("user", "a".repeat((1 << 20) + 1)));
                    case "many" ->
                        new Reply(
                            Collections.nCopies(101, new Message("", "")), 0, false, Map.of());
                    case "named" -> Reply.done(0).with("a".repeat(101), 1);
                    case "slow" -> {
                      hang();
                      yield Reply.done(1);
                    }
                    default -> Reply.done(1);
                  },
              closed);
        };
    List<String> kinds =
        List.of(
            "no start",
            "slow start",
            "nothing",
            "crash",
            "null",
            "infinite",
            "long",
            "many",
            "named",
            "slow",
            "fine");
    List<Problem> problems = kinds.stream().map(kind -> Problem.of(kind, "", "")).toList();
    try (BoundedEnvironment bounded = new BoundedEnvironment(environment, LIMIT, 4)) {
      List<Session> sessions = bounded.start(problems, new long[problems.size()]);
      assertThat(bounded.crashes()).isEqualTo(2);
      assertThat(bounded.timeouts()).isEqualTo(1);
      List<Optional<Reply>> replies = bounded.reply(sessions, kinds);
      assertThat(replies.subList(0, 10)).containsOnly(Optional.empty());
      assertThat(replies.get(10)).contains(Reply.done(1));
      assertThat(bounded.crashes()).isEqualTo(8);
      assertThat(bounded.timeouts()).isEqualTo(2);
      List<Optional<Reply>> again = new ArrayList<>(bounded.reply(sessions, kinds));
      assertThat(again.remove(10)).isPresent();
      assertThat(again).containsOnly(Optional.empty());
      bounded.end(sessions);
      bounded.end(sessions);
      assertThat(bounded.crashes()).isEqualTo(8);
      // The slow episode is closed when its call comes back.
      for (int wait = 0; wait < 500 && closed.get() < 8; wait++) {
        Thread.sleep(10);
      }
      assertThat(closed.get()).isEqualTo(8);
    }
  }
}
