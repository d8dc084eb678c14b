package org.threegate.rl.adapter;

import java.util.Arrays;
import java.util.List;

/** What the factors of an adapter are before training: scale · B A with A of rank x inputs. */
public enum Initialisation {
  /** A uniform within 1 / √inputs, B zero (arXiv 2106.09685, and as PEFT has it). */
  LORA("lora"),
  /** The largest singular triplets, which leave the weight (arXiv 2404.02948). */
  PISSA("pissa"),
  /** The smallest singular triplets, which leave the weight (arXiv 2406.09044). */
  MILORA("milora"),
  /** B from the orthogonal factor of a QR decomposition, A from the other (arXiv 2406.01775). */
  OLORA("olora"),
  /**
   * The largest singular triplets of the weight where reinforcement mostly moves it, that is
   * without its large entries in the principal part (arXiv 2601.09361 restricts to such a subspace;
   * the entries here are those of {@code MaskKind.SAFE}).
   */
  GEORA("geora");

  private final String label;

  Initialisation(String label) {
    this.label = label;
  }

  /** As in configurations. */
  public String label() {
    return label;
  }

  /** Whether what the factors begin as is taken from the weight. */
  boolean movesWeight() {
    return this != LORA;
  }

  /**
   * The initialisation with this label.
   *
   * @throws IllegalArgumentException naming those there are
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
