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

    boolean isEmpty() {
      return shape.contains(0L);
    }

    /** Returns the number of elements from the first one to the last one in the storage. */
    long span() {
      long last = 0;
      for (int i = 0; i < shape.size() && !isEmpty(); i++) {
        last += (shape.get(i) - 1) * strides.get(i);
      }
      return isEmpty() ? 0 : last + 1;
    }

    /** Returns whether the tensor has more elements than there are in the storage. */
    boolean isExpanded() {
      return shape.stream().reduce(1L, (a, b) -> a * b) > span();
    }
  }

  /** What one process holds of a tensor that several processes share. */
  record Part(Strided local, TensorShare share) implements PickleValue {}

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
    private final List<Map.Entry<Instance, PickleValue>> objects = new ArrayList<>();

    /** Returns the entries whose keys are objects, which need not be distinct. */
    List<Map.Entry<Instance, PickleValue>> objects() {
      return objects;
    }

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

    /** Returns a field of the state: a dictionary, or one of attributes and one of slots. */
    PickleValue field(String name) {
      return field(state, name);
    }

    /** Returns a field of a state; {@code None} if there is none. */
    static PickleValue field(PickleValue state, String name) {
      List<PickleValue> parts = state instanceof Sequence both ? both.items() : List.of(state);
      for (PickleValue part : parts.subList(0, Math.min(2, parts.size()))) {
        if (part instanceof Dictionary fields && fields.entries().containsKey(name)) {
          return fields.entries().get(name);
        }
      }
      return Plain.NONE;
    }

    /** Returns the name of the class without its module. */
    String kind() {
      return type.substring(type.lastIndexOf('.') + 1);
    }
  }
}
