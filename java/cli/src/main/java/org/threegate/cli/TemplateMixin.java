package org.threegate.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.rl.task.ChatTemplate;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Option;

/** Options that control how chat templates render conversations. */
final class TemplateMixin {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  @Option(
      names = "--system",
      paramLabel = "TEXT",
      description = "System message for conversations that have none.")
  private Optional<String> system = Optional.empty();

  @Option(
      names = "--template-argument",
      paramLabel = "NAME=JSON",
      description =
          "Argument of the model's chat template, such as enable_thinking=false. May be repeated.")
  private List<String> arguments = List.of();

  boolean isGiven() {
    return system.isPresent() || !arguments.isEmpty();
  }

  ChatTemplate.Options options() {
    Map<String, Object> values = new LinkedHashMap<>();
    for (String argument : arguments) {
      int equals = argument.indexOf('=');
      if (equals < 1) {
        throw new InvalidInputException(
            "--template-argument " + argument + ": not of the form NAME=JSON");
      }
      values.put(argument.substring(0, equals), value(argument, argument.substring(equals + 1)));
    }
    try {
      return new ChatTemplate.Options(system, values);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("--template-argument: " + e.getMessage(), e);
    }
  }

  private static Object value(String argument, String json) {
    try {
      Object value = JSON.readValue(json, Object.class);
      if (value == null && !json.strip().equals("null")) {
        throw new InvalidInputException(
            "--template-argument " + argument + ": the value is missing");
      }
      return value;
    } catch (JsonProcessingException e) {
      throw new InvalidInputException(
          "--template-argument "
              + argument
              + ": not JSON; strings need double quotes, as in 'name=\"text\"'",
          e);
    }
  }
}
