package org.threegate.checkpoint.adapter;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a stored tensor is, by its name.
 *
 * @param target the module that the tensor changes, or the weight of the base that it replaces
 * @param depth number of wrappers around the module that are nested in the one of this tensor
 * @param role the tensor's part in an update, such as "lora_A"; or {@link #WHOLE}, {@link #INNER}
 *     or {@link #ORIGINAL}
 */
record StoredName(String target, int depth, String role) {
  /** A tensor that replaces one of the base. */
  static final String WHOLE = "";

  /**
   * The same, under the name that it has within PEFT's wrapper of a module that is trained whole.
   */
  static final String INNER = "modules_to_save";

  /** The weight of the base within such a wrapper. */
  static final String ORIGINAL = "original_module";

  private static final String PREFIX = "base_model.model.";
  private static final String BASE_LAYER = ".base_layer";

  // The name of the adapter may stand after the role. Files that PEFT writes leave it out.
  private static final Pattern PART =
      Pattern.compile(
          "(?:(.*)\\.)?((?:lora|ia3|hada|lokr|vera|oft|boft|trainable_tokens)_\\w+|ranknum)"
              + "(?:\\.(?!(?:weight|bias)$)[^.]+)?(?:\\.(weight|bias))?");

  private static final Pattern WRAPPER =
      Pattern.compile("\\.(" + INNER + "|" + ORIGINAL + ")(?:\\.[^.]+(?=\\.))?\\.");

  static StoredName of(String tensor) {
    String name = tensor.startsWith(PREFIX) ? tensor.substring(PREFIX.length()) : tensor;
    Matcher matcher = PART.matcher(name);
    if (!matcher.matches()) {
      // A module that was trained whole, a bias, or a weight that was stored with an adapter.
      Matcher wrapper = WRAPPER.matcher(name);
      String role = wrapper.find() ? wrapper.group(1) : WHOLE;
      String weight = role.equals(WHOLE) ? name : wrapper.replaceFirst(".");
      String plain = weight.replace(BASE_LAYER + ".", ".").replace(".token_adapter.", ".");
      return new StoredName(plain, 0, role);
    }
    String module = matcher.group(1) == null ? "" : matcher.group(1);
    String plain = module.replace(BASE_LAYER, "").replaceFirst("\\.token_adapter$", "");
    int depth = (module.length() - module.replace(BASE_LAYER, "").length()) / BASE_LAYER.length();
    boolean bias = "bias".equals(matcher.group(3));
    return new StoredName(plain, depth, matcher.group(2) + (bias ? ".bias" : ""));
  }
}
