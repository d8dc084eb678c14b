package org.threegate.checkpoint.adapter;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** The methods of PEFT that can be computed, with the names of what they store for a module. */
enum Method {
  LORA(
      "lora_A",
      "lora_B",
      "lora_B.bias",
      "lora_embedding_A",
      "lora_embedding_B",
      "lora_magnitude_vector"),
  ADALORA("lora_A", "lora_B", "lora_E", "ranknum"),
  IA3("ia3_l"),
  LOHA("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
  LOKR("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b"),
  OFT("oft_R"),
  VERA("vera_lambda_b", "vera_lambda_d", "vera_A", "vera_B"),
  TRAINABLE_TOKENS;

  /** What all methods may store for an embedding: rows of single tokens. */
  static final String TOKENS = "trainable_tokens_delta";

  private final List<String> roles;

  Method(String... roles) {
    this.roles = List.of(roles);
  }

  static Optional<Method> of(String pefttype) {
    return Arrays.stream(values()).filter(method -> method.name().equals(pefttype)).findFirst();
  }

  /** Returns whether the method stores tensors of this role. */
  boolean stores(String role) {
    return roles.contains(role) || role.equals(TOKENS);
  }
}
