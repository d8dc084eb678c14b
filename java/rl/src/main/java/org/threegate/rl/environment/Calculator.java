package org.threegate.rl.environment;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Optional;
import org.threegate.checkpoint.Json;
import org.threegate.rl.task.Message;
import org.threegate.rl.task.Problem;
import org.threegate.run.InvalidInputException;

/**
 * A tool that evaluates expressions of rational numbers exactly. The model calls it, and its next
 * turn begins after the result. A turn without a call ends the episode. The environment has no
 * rewards: reward functions score the last turn.
 *
 * <p>A call is {@code <<12*34>>}, or the same as Hermes and Qwen write it:
 *
 * <pre>
 * &lt;tool_call&gt;
 * {"name": "calculator", "arguments": {"expression": "12*34"}}
 * &lt;/tool_call&gt;
 * </pre>
 *
 * <p>The result is a message of the role {@code tool}: {@code 408}, {@code 2/3}, or {@code error:}
 * and the reason. Of several calls in a turn, the last one is answered.
 *
 * <pre>{@code
 * try (Episode episode = new Calculator().start(Problem.of("12*34=", "408", ""), 0)) {
 *   String result = episode.reply("<<12*34>>").messages().get(0).content();
 * }
 * }</pre>
 */
public final class Calculator implements Environment {
  /** The name of the tool in calls. */
  public static final String NAME = "calculator";

  private static final String BEGIN = "<<";
  private static final String END = ">>";
  private static final String BEGIN_CALL = "<tool_call>";
  private static final String END_CALL = "</tool_call>";
  private static final int LONGEST_CALL = 4096; // characters

  /** Creates the tool, which has no state. */
  public Calculator() {}

  @Override
  public Episode start(Problem problem, long seed) {
    return Calculator::reply;
  }

  @Override
  public List<String> stops() {
    return List.of(END, END_CALL);
  }

  @Override
  public boolean isScoring() {
    return false;
  }

  private static Reply reply(String text) {
    Optional<String> call = last(text, BEGIN_CALL, END_CALL);
    Optional<String> expression = call.isPresent() ? call : last(text, BEGIN, END);
    if (expression.isEmpty()) {
      return Reply.done(Double.NaN).with("calls", 0).with("failed_calls", 0);
    }
    String result;
    boolean failed = false;
    try {
      String asked = call.isPresent() ? argument(call.get()) : expression.get();
      result = Arithmetic.text(Arithmetic.value(asked));
    } catch (ArithmeticException e) {
      result = "error: " + e.getMessage();
      failed = true;
    }
    return Reply.of(new Message("tool", result))
        .with("calls", 1)
        .with("failed_calls", failed ? 1 : 0);
  }

  /** Returns the text between the last end and the begin before it. */
  private static Optional<String> last(String text, String begin, String end) {
    int to = text.lastIndexOf(end);
    int from = to < 0 ? -1 : text.lastIndexOf(begin, to - begin.length());
    return from < 0 ? Optional.empty() : Optional.of(text.substring(from + begin.length(), to));
  }

  /** Reads the expression of a call in JSON. */
  private static String argument(String call) {
    if (call.length() > LONGEST_CALL) {
      throw new ArithmeticException("the call is longer than " + LONGEST_CALL + " characters");
    }
    JsonNode node;
    try {
      node = Json.parseObject(call, "call");
    } catch (InvalidInputException e) {
      throw new ArithmeticException("the call is not JSON");
    }
    if (!node.path("name").asText().equals(NAME)) {
      throw new ArithmeticException("the only tool is " + NAME);
    }
    JsonNode expression = node.path("arguments").path("expression");
    if (!expression.isTextual()) {
      throw new ArithmeticException("the argument \"expression\" is missing");
    }
    return expression.asText();
  }
}
