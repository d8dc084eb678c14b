package org.threegate.checkpoint.torch;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A value that a pickle describes. Values can contain themselves, so nothing here walks through
 * them.
 */
sealed interface PickleValue {
  /** A text. */
  record Text(String value) implements PickleValue {}

  /** An integer of at most 64 bits. */
  record Whole(long value) implements PickleValue {}

  /** Values whose contents no tensor needs. */
  enum Plain implements PickleValue {
    /** The value {@code None}. */
    NONE,
    /** A truth value, a number with a fraction, bytes, a set, a device. */
    OTHER
  }

  /** The name of a function, a class or a dtype that is on the list of those allowed. */
  record Name(String path) implements PickleValue {}

  /**
   * The elements of one or more tensors, in an entry of the archive.
   *
   * @param type dtype of the elements; empty for bytes
   * @param key name of the entry
   * @param elements number of elements, or of bytes
   */
  record Storage(Optional<TorchType> type, String key, long elements) implements PickleValue {}

  /**
   * A tensor in a storage.
   *
   * @param first index of the first element in the storage
   */
  record Strided(Storage storage, TorchType type, long first, List<Long> shape, List<Long> strides)
      implements PickleValue {
    /** Returns whether the elements lie in the order of the indexes, without gaps. */
    boolean isContiguous() {
      long expected = 1;
      for (int i = shape.size() - 1; i >= 0; i--) {
        long size = shape.get(i);
        if (size != 1 && strides.get(i) != expected && !isEmpty()) {
          return false;
        }
        expected *= Math.max(1, size);
      }
      return true;
    }

    private boolean isEmpty() {
      return shape.contains(0L);
    }
  }

  /**
   * What one process holds of a tensor that several processes share.
   *
   * @param local the elements of this process
   * @param whole dimensions of the whole tensor
   * @param split whether the local elements are some of the rows; else they are all
   */
  record Part(Strided local, List<Long> whole, boolean split) implements PickleValue {}

  /** A list or a tuple. */
  final class Sequence implements PickleValue {
    private final List<PickleValue> items;

    Sequence(List<PickleValue> items) {
      this.items = new ArrayList<>(items);
    }

    List<PickleValue> items() {
      return items;
    }
  }

  /** A dictionary. Integers as keys become texts. */
  final class Dictionary implements PickleValue {
    private final Map<String, PickleValue> entries = new LinkedHashMap<>();

    Map<String, PickleValue> entries() {
      return entries;
    }
  }

  /** An object of a class that only describes a tensor, such as its placement. */
  final class Instance implements PickleValue {
    private final String type;
    private final List<PickleValue> arguments;
    private PickleValue state = Plain.NONE;

    Instance(String type, List<PickleValue> arguments) {
      this.type = type;
      this.arguments = List.copyOf(arguments);
    }

    String type() {
      return type;
    }

    List<PickleValue> arguments() {
      return arguments;
    }

    PickleValue state() {
      return state;
    }

    void become(PickleValue other) {
      state = other;
    }
  }
}
