package org.threegate.patch;

import java.util.Arrays;
import java.util.Optional;

/** How {@link PatchFormat#SPARSE} stores positions. Other formats have one encoding each. */
public enum PositionEncoding {
  /** The number of unchanged elements before each changed one. */
  GAPS("gaps"),
  /** Flat positions as int32, which other readers of the format expect. */
  RAW("raw");

  private final String label;

  PositionEncoding(String label) {
    this.label = label;
  }

  /** Returns the name in metadata. */
  String label() {
    return label;
  }

  static Optional<PositionEncoding> byLabel(String label) {
    return Arrays.stream(values()).filter(encoding -> encoding.label.equals(label)).findFirst();
  }
}
