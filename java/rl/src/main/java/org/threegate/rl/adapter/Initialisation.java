package org.threegate.rl.adapter;

import java.util.Arrays;
import java.util.List;

/**
 * How the factors of an adapter are initialized. The product is scale · B A, A is [rank, inputs].
 */
public enum Initialisation {
  /** LoRA: A is uniform within 1 / √inputs and B is zero (arXiv 2106.09685, as in PEFT). */
  LORA("lora"),
  /**
   * PiSSA: the largest singular triplets, which are subtracted from the weight (arXiv 2404.02948).
   */
  PISSA("pissa"),
  /** MiLoRA: the smallest singular triplets, subtracted from the weight (arXiv 2406.09044). */
  MILORA("milora"),
  /** OLoRA: the factors of a QR decomposition, subtracted from the weight (arXiv 2406.01775). */
  OLORA("olora"),
  /**
   * GeoRA: the largest singular triplets of the weight without its large entries in the principal
   * part, which is where reinforcement learning mostly changes weights. arXiv 2601.09361 restricts
   * updates to such a subspace. The entries here are those of {@code MaskKind.SAFE}.
   */
  GEORA("geora");

  private final String label;

  Initialisation(String label) {
    this.label = label;
  }

  /** {@return the name, as in configurations} */
  public String label() {
    return label;
  }

  /** Returns whether the initial product is subtracted from the weight. */
  boolean movesWeight() {
    return this != LORA;
  }

  /**
   * {@return the initialization with this label}
   *
   * @param label name of an initialization, as {@link #label} returns it
   * @throws IllegalArgumentException when there is none; the message lists the labels
   */
  public static Initialisation of(String label) {
    List<String> labels = Arrays.stream(values()).map(Initialisation::label).toList();
    if (!labels.contains(label)) {
      throw new IllegalArgumentException(
          "\"" + label + "\" is no initialisation; there are " + String.join(", ", labels));
    }
    return values()[labels.indexOf(label)];
  }
}
