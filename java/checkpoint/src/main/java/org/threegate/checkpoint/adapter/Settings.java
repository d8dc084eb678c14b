package org.threegate.checkpoint.adapter;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.threegate.checkpoint.JsonFields;
import org.threegate.run.InvalidInputException;

/**
 * What an {@code adapter_config.json} says about the updates.
 *
 * @param path path of the adapter, named in errors
 * @param method how updates are computed
 * @param scaling the scale of each update
 * @param initialisation name of the initialisation in lower case; "" for a boolean
 * @param magnitudes whether rows are scaled to stored lengths (DoRA)
 * @param parameters names of single parameters that have factors, by their ends
 * @param rotationTerms terms of the series of a rotation (OFT)
 * @param tokens numbers of the rows that are replaced, by the end of the embedding's name; "" for
 *     every embedding
 */
record Settings(
    Path path,
    Method method,
    Scaling scaling,
    String initialisation,
    boolean magnitudes,
    List<String> parameters,
    int rotationTerms,
    Map<String, List<Integer>> tokens) {
  private static final int HIGHEST = 1 << 20;
  private static final int MOST_TOKENS = 1 << 24;
  private static final int MOST_NAMES = 1000;
  private static final int MOST_TERMS = 100;
  private static final int DEFAULT_TERMS = 5;
  private static final double LEAST_ALPHA = 1e-9;
  private static final double MOST_ALPHA = 1e9;
  private static final Set<String> LEAVE_BASE = Set.of("", "gaussian", "eva", "orthogonal", "mica");
  private static final List<String> MOVE_BASE = List.of("pissa", "olora", "corda", "lora_ga");
  private static final List<String> VARIANTS =
      List.of(
          "layer_replication",
          "use_qalora",
          "use_bdlora",
          "alora_invocation_tokens",
          "arrow_config",
          "kasa_config",
          "monteclora_config",
          "velora_config");

  /**
   * The factor of an update: α/r, or α/√r for rsLoRA.
   *
   * @param rank rank of modules without a pattern
   * @param alpha α of modules without a pattern
   * @param rankStabilised whether the root of the rank counts
   * @param ranks ranks by module
   * @param alphas α by module
   */
  record Scaling(
      double rank,
      double alpha,
      boolean rankStabilised,
      ModulePatterns ranks,
      ModulePatterns alphas) {
    double of(String module, long rank) {
      double alpha = alpha(module);
      return rankStabilised ? alpha / Math.sqrt(rank) : alpha / rank;
    }

    double alpha(String module) {
      return alphas.of(module).orElse(alpha);
    }

    long rank(String module) {
      return Math.round(ranks.of(module).orElse(rank));
    }
  }

  static Settings read(Path config, Path path) {
    JsonFields fields = JsonFields.read(config);
    String type = fields.text("peft_type").orElse("LORA");
    Method method =
        Method.of(type)
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        config
                            + ": peft_type "
                            + type
                            + " cannot be computed; merge the adapter into the model first"));
    for (String variant : VARIANTS) {
      JsonNode value = fields.value(variant);
      boolean off = value.isBoolean() && !value.booleanValue();
      boolean empty = value.isContainerNode() && value.isEmpty();
      if (fields.has(variant) && !off && !empty) {
        throw new InvalidInputException(
            config
                + ": "
                + variant
                + " is set, and such updates cannot be computed; merge the adapter first");
      }
    }
    Settings settings =
        new Settings(
            path,
            method,
            scaling(fields, method, config),
            initialisation(fields),
            fields.flag("use_dora", false),
            texts(fields, "target_parameters"),
            method == Method.OFT ? rotationTerms(fields) : 0,
            tokens(fields));
    if (!LEAVE_BASE.contains(settings.initialisation()) && !settings.movesBase()) {
      throw new InvalidInputException(
          config
              + ": init_lora_weights is "
              + settings.initialisation()
              + ", which may change the weights of the base; merge the adapter first");
    }
    if (method == Method.VERA && !fields.flag("save_projection", true)) {
      throw new InvalidInputException(
          config
              + ": save_projection is false, so the file lacks the projections; merge the adapter first");
    }
    return settings;
  }

  /** Returns whether the weights of the base are changed before training. */
  boolean movesBase() {
    return MOVE_BASE.stream().anyMatch(initialisation::startsWith);
  }

  /** Returns the terms of the Cayley-Neumann series; OFT without it needs exact inverses. */
  private static int rotationTerms(JsonFields fields) {
    if (!fields.flag("use_cayley_neumann", false) || fields.flag("coft", false)) {
      throw new InvalidInputException(
          fields.where()
              + ": an OFT adapter without use_cayley_neumann, or with coft, cannot be computed;"
              + " merge it first");
    }
    return fields.integer("num_cayley_neumann_terms", 1, MOST_TERMS).orElse(DEFAULT_TERMS);
  }

  private static Scaling scaling(JsonFields fields, Method method, Path config) {
    boolean adaptive = method == Method.ADALORA;
    boolean product = method == Method.LORA || adaptive;
    boolean scaled = product || method == Method.LOHA || method == Method.LOKR;
    if (!scaled) {
      return new Scaling(1, 1, false, ModulePatterns.NONE, ModulePatterns.NONE);
    }
    // The patterns of AdaLoRA's ranks are masks of factors that the file no longer has.
    ModulePatterns rankPatterns = ModulePatterns.NONE;
    if (!adaptive) {
      JsonFields ranks = fields.object("rank_pattern");
      ranks.names().forEach(name -> ranks.requiredInteger(name, 1, HIGHEST));
      rankPatterns = ModulePatterns.of(fields.value("rank_pattern"), config);
    }
    JsonFields alphas = fields.object("alpha_pattern");
    alphas.names().forEach(name -> alphas.requiredNumber(name, LEAST_ALPHA, MOST_ALPHA));
    return new Scaling(
        fields.requiredInteger(adaptive ? "init_r" : "r", 1, HIGHEST),
        fields.requiredNumber(product ? "lora_alpha" : "alpha", LEAST_ALPHA, MOST_ALPHA),
        fields.flag("use_rslora", false),
        rankPatterns,
        ModulePatterns.of(fields.value("alpha_pattern"), config));
  }

  /** Returns the name of an initialisation, or "" for a boolean, which leaves the base as it is. */
  private static String initialisation(JsonFields fields) {
    String name = "init_lora_weights";
    return fields.value(name).isBoolean()
        ? ""
        : fields.text(name).orElse("").toLowerCase(Locale.ROOT);
  }

  private static List<String> texts(JsonFields fields, String name) {
    List<String> texts = new ArrayList<>();
    if (!fields.has(name)) {
      return texts;
    }
    if (!fields.value(name).isArray()) {
      throw fields.refused(name, "a list of texts");
    }
    for (JsonNode text : fields.value(name)) {
      if (!text.isTextual()) {
        throw fields.refused(name, "a list of texts");
      }
      texts.add(text.textValue());
    }
    requireFew(fields, name, texts.size());
    return List.copyOf(texts);
  }

  private static void requireFew(JsonFields fields, String name, int count) {
    if (count > MOST_NAMES) {
      throw fields.refused(name, "at most " + MOST_NAMES + " names");
    }
  }

  private static Map<String, List<Integer>> tokens(JsonFields fields) {
    Map<String, List<Integer>> tokens = new LinkedHashMap<>();
    for (String name : List.of("trainable_token_indices", "token_indices")) {
      if (fields.value(name).isObject()) {
        JsonFields own = fields.object(name);
        requireFew(fields, name, own.names().size());
        own.names().forEach(module -> tokens.put(module, own.integers(module, 0, MOST_TOKENS)));
      } else if (fields.has(name)) {
        tokens.put("", fields.integers(name, 0, MOST_TOKENS));
      }
    }
    return tokens;
  }

  /** Returns the rows that are replaced in an embedding. */
  List<Integer> tokensOf(String module) {
    return tokens.entrySet().stream()
        .filter(entry -> isOrEndsWith(module, entry.getKey()))
        .map(Map.Entry::getValue)
        .findFirst()
        .orElse(List.of());
  }

  /** Returns the names of the parameters of a module that have factors. */
  List<String> parametersOf(String module) {
    List<String> names = new ArrayList<>();
    for (String parameter : parameters) {
      int dot = parameter.lastIndexOf('.');
      if (isOrEndsWith(module, parameter.substring(0, Math.max(0, dot)))) {
        names.add(parameter.substring(dot + 1));
      }
    }
    return names;
  }

  private static boolean isOrEndsWith(String module, String end) {
    return end.isEmpty() || module.equals(end) || module.endsWith("." + end);
  }
}
