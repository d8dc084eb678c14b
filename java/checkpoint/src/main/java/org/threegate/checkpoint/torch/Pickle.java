package org.threegate.checkpoint.torch;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.threegate.checkpoint.torch.PickleValue.Dictionary;
import org.threegate.checkpoint.torch.PickleValue.Instance;
import org.threegate.checkpoint.torch.PickleValue.Plain;
import org.threegate.checkpoint.torch.PickleValue.Sequence;
import org.threegate.checkpoint.torch.PickleValue.Text;
import org.threegate.checkpoint.torch.PickleValue.Whole;
import org.threegate.file.InputFiles;

/**
 * Reads the language of pickles, versions 2 to 5, and executes nothing. A pickle is a program for a
 * machine with a stack and a memo. Only the instructions that describe data are known, and only the
 * names of {@link Constructors}. The number of values is bounded, and so are texts. Values refer to
 * each other and are never copied, so that a short pickle cannot describe a large value.
 */
final class Pickle {
  /** Values of a pickle. A tensor takes about 30. */
  static final int MOST_VALUES = 1 << 22;

  private static final int LONGEST_TEXT = 1 << 20;
  private static final int OLDEST = 2;
  private static final int NEWEST = 5;

  private final ByteSource source;
  private final ByteBuffer code;
  private final Constructors constructors;
  private final List<PickleValue> stack = new ArrayList<>();
  private final List<Integer> marks = new ArrayList<>();
  private final Map<Integer, PickleValue> memo = new HashMap<>();
  private int values;

  private Pickle(ByteSource source, byte[] code, Vocabulary vocabulary) {
    this.source = source;
    this.code = ByteBuffer.wrap(code).order(ByteOrder.LITTLE_ENDIAN);
    this.constructors = new Constructors(source, vocabulary);
  }

  /**
   * Returns the value that a pickle describes.
   *
   * @param source file of the pickle, for errors
   * @param code the pickle
   * @param vocabulary names that the pickle may use
   */
  static PickleValue read(ByteSource source, byte[] code, Vocabulary vocabulary) {
    return new Pickle(source, code, vocabulary).run();
  }

  private PickleValue run() {
    if ((next() & 0xFF) != 0x80 || code.remaining() == 0) {
      throw source.damaged("its pickle does not begin with a version");
    }
    int version = next();
    if (version < OLDEST || version > NEWEST) {
      throw source.damaged("its pickle has the version " + version);
    }
    while (true) {
      int instruction = next() & 0xFF;
      if (instruction == '.') {
        PickleValue result = pop();
        if (!stack.isEmpty() || !marks.isEmpty() || code.hasRemaining()) {
          throw source.damaged("its pickle goes on after its end");
        }
        return result;
      }
      if (!scalar(instruction) && !container(instruction) && !object(instruction)) {
        throw source.damaged(
            String.format("its pickle has the instruction 0x%02x, which is not data", instruction));
      }
    }
  }

  /** Executes an instruction that pushes a value without parts. */
  private boolean scalar(int instruction) {
    switch (instruction) {
      case 'N' -> push(Plain.NONE);
      case 0x88, 0x89 -> push(Plain.OTHER); // truth values
      case 'K' -> push(new Whole(next() & 0xFF));
      case 'M' -> push(new Whole(take(2).getShort() & 0xFFFF));
      case 'J' -> push(new Whole(take(4).getInt()));
      case 0x8a -> push(integer(take(next() & 0xFF)));
      case 'G' -> {
        take(8);
        push(Plain.OTHER);
      }
      case 'X' -> push(text(length(take(4).getInt() & 0xFFFFFFFFL)));
      case 0x8c -> push(text(next() & 0xFF));
      case 0x8d -> push(text(length(take(8).getLong())));
      case 'U' -> push(bytes(next() & 0xFF));
      case 'C' -> {
        take(next() & 0xFF);
        push(Plain.OTHER);
      }
      case 'B' -> {
        take(length(take(4).getInt() & 0xFFFFFFFFL));
        push(Plain.OTHER);
      }
      default -> {
        return false;
      }
    }
    return true;
  }

  /** Executes an instruction for lists, tuples, dictionaries and sets. */
  private boolean container(int instruction) {
    switch (instruction) {
      case '(' -> {
        spend();
        marks.add(stack.size());
      }
      case ')', ']' -> push(new Sequence(List.of()));
      case '}' -> push(new Dictionary());
      case 0x8f -> push(Plain.OTHER);
      case 't' -> {
        List<PickleValue> items = popToMark();
        push(new Sequence(items));
      }
      case 0x85, 0x86, 0x87 -> {
        PickleValue[] items = new PickleValue[instruction - 0x84];
        for (int i = items.length - 1; i >= 0; i--) {
          items[i] = pop();
        }
        push(new Sequence(List.of(items)));
      }
      case 'a' -> {
        PickleValue item = pop();
        top(Sequence.class).items().add(item);
      }
      case 'e' -> {
        List<PickleValue> items = popToMark();
        top(Sequence.class).items().addAll(items);
      }
      case 0x90 -> { // items of a set
        popToMark();
        top(Plain.class);
      }
      case 's' -> {
        PickleValue value = pop();
        PickleValue key = pop();
        put(top(Dictionary.class), key, value);
      }
      case 'u' -> {
        List<PickleValue> items = popToMark();
        if (items.size() % 2 != 0) {
          throw source.damaged("its pickle has a key without a value");
        }
        Dictionary dictionary = top(Dictionary.class);
        for (int i = 0; i < items.size(); i += 2) {
          put(dictionary, items.get(i), items.get(i + 1));
        }
      }
      default -> {
        return false;
      }
    }
    return true;
  }

  /** Executes an instruction for names, objects, the memo and frames. */
  private boolean object(int instruction) {
    switch (instruction) {
      case 'c' -> {
        String module = line();
        push(constructors.name(module, line()));
      }
      case 0x93 -> {
        PickleValue name = pop();
        PickleValue module = pop();
        if (!(name instanceof Text own) || !(module instanceof Text of)) {
          throw source.damaged("its pickle has a name that is not a text");
        }
        push(constructors.name(of.value(), own.value()));
      }
      case 'R' -> {
        PickleValue arguments = pop();
        push(constructors.call(pop(), arguments));
      }
      case 0x81 -> {
        PickleValue arguments = pop();
        push(constructors.create(pop(), arguments));
      }
      case 'b' -> {
        PickleValue state = pop();
        constructors.build(top(PickleValue.class), state);
      }
      case 'Q' -> push(constructors.storage(pop()));
      case 'h' -> push(recall(next() & 0xFF));
      case 'j' -> push(recall(take(4).getInt()));
      case 'q' -> remember(next() & 0xFF);
      case 'r' -> remember(take(4).getInt());
      case 0x94 -> remember(memo.size());
      case 0x95 -> {
        long bytes = take(8).getLong();
        if (bytes < 0 || bytes > code.remaining()) {
          throw source.damaged("its pickle ends in the middle");
        }
      }
      default -> {
        return false;
      }
    }
    return true;
  }

  private void spend() {
    if (++values > MOST_VALUES) {
      throw source.refusal(
          "its pickle has more than "
              + MOST_VALUES
              + " values; save the tensors in several files, or as safetensors");
    }
  }

  private void push(PickleValue value) {
    spend();
    stack.add(value);
  }

  /** Returns the value at the top, which lies above the last mark. */
  private <T extends PickleValue> T top(Class<T> type) {
    int floor = marks.isEmpty() ? 0 : marks.get(marks.size() - 1);
    if (stack.size() > floor && type.isInstance(stack.get(stack.size() - 1))) {
      return type.cast(stack.get(stack.size() - 1));
    }
    throw source.damaged("its pickle takes a value that is not there");
  }

  private PickleValue pop() {
    PickleValue value = top(PickleValue.class);
    stack.remove(stack.size() - 1);
    return value;
  }

  private List<PickleValue> popToMark() {
    if (marks.isEmpty()) {
      throw source.damaged("its pickle takes a value that is not there");
    }
    List<PickleValue> above = stack.subList(marks.remove(marks.size() - 1), stack.size());
    List<PickleValue> items = List.copyOf(above);
    above.clear();
    return items;
  }

  private void put(Dictionary dictionary, PickleValue key, PickleValue value) {
    if (key instanceof Text text) {
      dictionary.entries().put(text.value(), value);
    } else if (key instanceof Whole number) {
      dictionary.entries().put(Long.toString(number.value()), value);
    } else if (key instanceof Instance object) {
      dictionary.objects().add(Map.entry(object, value));
    } else {
      throw source.refusal("has a dictionary with a key that is neither a text nor a number");
    }
  }

  private PickleValue recall(int index) {
    PickleValue value = memo.get(index);
    if (value == null) {
      throw source.damaged("its pickle takes a value that is not there");
    }
    return value;
  }

  private void remember(int index) {
    spend();
    memo.put(index, top(PickleValue.class));
  }

  private byte next() {
    if (!code.hasRemaining()) {
      throw source.damaged("its pickle ends in the middle");
    }
    return code.get();
  }

  /** Returns the next bytes of the code. */
  private ByteBuffer take(int bytes) {
    if (bytes > code.remaining()) {
      throw source.damaged("its pickle ends in the middle");
    }
    ByteBuffer part = code.slice(code.position(), bytes).order(ByteOrder.LITTLE_ENDIAN);
    code.position(code.position() + bytes);
    return part;
  }

  private int length(long bytes) {
    if (bytes < 0 || bytes > LONGEST_TEXT) {
      throw source.damaged("its pickle has a text longer than " + LONGEST_TEXT + " bytes");
    }
    return (int) bytes;
  }

  private Text text(int bytes) {
    return new Text(InputFiles.decode(take(bytes), () -> source.name() + ": a text of its pickle"));
  }

  /** Returns a text of Python 2, whose bytes are taken as Latin-1. */
  private Text bytes(int count) {
    return new Text(StandardCharsets.ISO_8859_1.decode(take(count)).toString());
  }

  /** Returns an integer in two's complement. One beyond 64 bits is no size of a tensor. */
  private static PickleValue integer(ByteBuffer bytes) {
    if (bytes.remaining() > Long.BYTES) {
      return Plain.OTHER;
    }
    long value = 0;
    int bits = 0;
    while (bytes.hasRemaining()) {
      byte next = bytes.get();
      value |= (next & 0xFFL) << bits;
      bits += Byte.SIZE;
      if (!bytes.hasRemaining() && next < 0 && bits < Long.SIZE) {
        value |= -1L << bits;
      }
    }
    return new Whole(value);
  }

  /** Returns the text up to the end of a line. */
  private String line() {
    int begin = code.position();
    int end = begin;
    while (end < code.limit() && code.get(end) != '\n') {
      if (end - begin > 255) {
        throw source.damaged("its pickle has a name of more than 255 bytes");
      }
      end++;
    }
    if (end == code.limit()) {
      throw source.damaged("its pickle ends in the middle");
    }
    String line = text(end - begin).value();
    code.position(end + 1);
    return line;
  }
}
