package org.threegate.rl.task;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.Instant;
import java.time.LocalDate;
import java.time.temporal.ChronoUnit;
import java.util.function.Consumer;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.io.api.Converter;
import org.apache.parquet.io.api.GroupConverter;
import org.apache.parquet.io.api.PrimitiveConverter;
import org.apache.parquet.io.api.RecordMaterializer;
import org.apache.parquet.schema.GroupType;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.DateLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.DecimalLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.ListLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.MapLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.TimestampLogicalTypeAnnotation;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.Type;

/**
 * Makes a JSON object of each row. Lists are arrays, maps are arrays of keys and values, dates and
 * times are texts of ISO 8601, and bytes are Base64. What is null is null, and not left out.
 */
final class ParquetRow extends RecordMaterializer<ObjectNode> {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
  private static final int MOST_VALUES = 1 << 20; // of a row
  private static final long MOST_BYTES = 1L << 24;

  private final Members root;
  private ObjectNode current = NODES.objectNode();
  private int values;
  private long bytes;

  ParquetRow(MessageType schema) {
    root = new Members(schema, made -> current = made);
  }

  @Override
  public ObjectNode getCurrentRecord() {
    values = 0;
    bytes = 0;
    return current;
  }

  @Override
  public GroupConverter getRootConverter() {
    return root;
  }

  private void count(long size) {
    bytes += size;
    if (++values > MOST_VALUES || bytes > MOST_BYTES) {
      throw new IllegalArgumentException(
          "a row with more than " + MOST_VALUES + " values or " + MOST_BYTES + " bytes");
    }
  }

  private Converter converter(Type type, Consumer<JsonNode> to) {
    if (type.isPrimitive()) {
      return new Leaf(type, to);
    }
    GroupType group = type.asGroupType();
    boolean isList = type.getLogicalTypeAnnotation() instanceof ListLogicalTypeAnnotation;
    boolean isMap = type.getLogicalTypeAnnotation() instanceof MapLogicalTypeAnnotation;
    if ((isList || isMap) && group.getFieldCount() == 1) {
      return new Elements(group.getType(0), isList, to);
    }
    return new Members(group, to::accept);
  }

  /** A group whose members have names. A repeated member that no list is around is an array. */
  private final class Members extends GroupConverter {
    private final GroupType type;
    private final Converter[] members;
    private final Consumer<ObjectNode> to;
    private ObjectNode made = NODES.objectNode();

    Members(GroupType type, Consumer<ObjectNode> to) {
      this.type = type;
      this.to = to;
      this.members = new Converter[type.getFieldCount()];
      for (int i = 0; i < members.length; i++) {
        String name = type.getFieldName(i);
        boolean repeats = type.getType(i).isRepetition(Type.Repetition.REPEATED);
        members[i] =
            converter(
                type.getType(i),
                repeats
                    ? value -> ((ArrayNode) made.get(name)).add(value)
                    : value -> made.set(name, value));
      }
    }

    @Override
    public Converter getConverter(int index) {
      return members[index];
    }

    @Override
    public void start() {
      count(0);
      made = NODES.objectNode();
      for (Type member : type.getFields()) {
        made.set(
            member.getName(),
            member.isRepetition(Type.Repetition.REPEATED) ? NODES.arrayNode() : NODES.nullNode());
      }
    }

    @Override
    public void end() {
      to.accept(made);
    }
  }

  /** A list or a map around its repeated group. */
  private final class Elements extends GroupConverter {
    private final Converter repeated;
    private final Consumer<JsonNode> to;
    private ArrayNode made = NODES.arrayNode();

    Elements(Type element, boolean isList, Consumer<JsonNode> to) {
      this.to = to;
      // Today's writers put each element into a group of its own, older ones do not.
      boolean wraps =
          isList
              && !element.isPrimitive()
              && element.asGroupType().getFieldCount() == 1
              && !element.getName().equals("array")
              && !element.getName().endsWith("_tuple");
      this.repeated =
          wraps
              ? new Wrapper(element.asGroupType().getType(0))
              : converter(element, value -> made.add(value));
    }

    /** The group around an element, which may be null. */
    private final class Wrapper extends GroupConverter {
      private final Converter element;
      private JsonNode found = NODES.nullNode();

      Wrapper(Type type) {
        element = converter(type, value -> found = value);
      }

      @Override
      public Converter getConverter(int index) {
        return element;
      }

      @Override
      public void start() {
        count(0);
        found = NODES.nullNode();
      }

      @Override
      public void end() {
        made.add(found);
      }
    }

    @Override
    public Converter getConverter(int index) {
      return repeated;
    }

    @Override
    public void start() {
      count(0);
      made = NODES.arrayNode();
    }

    @Override
    public void end() {
      to.accept(made);
    }
  }

  private final class Leaf extends PrimitiveConverter {
    private final LogicalTypeAnnotation annotation;
    private final Consumer<JsonNode> to;

    Leaf(Type type, Consumer<JsonNode> to) {
      this.annotation = type.getLogicalTypeAnnotation();
      this.to = to;
    }

    private void put(JsonNode value, long size) {
      count(size);
      to.accept(value);
    }

    @Override
    public void addBinary(Binary value) {
      if (annotation instanceof DecimalLogicalTypeAnnotation decimal) {
        BigInteger digits =
            value.length() == 0 ? BigInteger.ZERO : new BigInteger(value.getBytes());
        put(NODES.numberNode(new BigDecimal(digits, decimal.getScale())), value.length());
      } else if (annotation == null) {
        put(NODES.binaryNode(value.getBytes()), value.length());
      } else {
        put(NODES.textNode(value.toStringUsingUTF8()), value.length());
      }
    }

    @Override
    public void addBoolean(boolean value) {
      put(NODES.booleanNode(value), 1);
    }

    @Override
    public void addDouble(double value) {
      // JSON has no other numbers.
      put(Double.isFinite(value) ? NODES.numberNode(value) : NODES.nullNode(), Double.BYTES);
    }

    @Override
    public void addFloat(float value) {
      put(Float.isFinite(value) ? NODES.numberNode(value) : NODES.nullNode(), Float.BYTES);
    }

    @Override
    public void addInt(int value) {
      if (annotation instanceof DateLogicalTypeAnnotation) {
        put(NODES.textNode(LocalDate.ofEpochDay(value).toString()), Integer.BYTES);
      } else {
        addLong(value);
      }
    }

    @Override
    public void addLong(long value) {
      if (annotation instanceof TimestampLogicalTypeAnnotation time) {
        ChronoUnit unit =
            switch (time.getUnit()) {
              case MILLIS -> ChronoUnit.MILLIS;
              case MICROS -> ChronoUnit.MICROS;
              case NANOS -> ChronoUnit.NANOS;
            };
        put(NODES.textNode(Instant.EPOCH.plus(value, unit).toString()), Long.BYTES);
      } else if (annotation instanceof DecimalLogicalTypeAnnotation decimal) {
        put(NODES.numberNode(BigDecimal.valueOf(value, decimal.getScale())), Long.BYTES);
      } else {
        put(NODES.numberNode(value), Long.BYTES);
      }
    }
  }
}
