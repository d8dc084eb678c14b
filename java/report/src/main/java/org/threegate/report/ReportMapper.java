package org.threegate.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.ser.std.StdSerializer;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import java.io.IOException;
import java.io.OutputStream;

/**
 * Serialises the records that mirror the JSON reports. The records fix the names and the order of
 * the keys. Numbers that are not finite become null.
 */
final class ReportMapper {
  private static final JsonMapper FILES = builder(new JsonFactory()).build();

  private ReportMapper() {}

  /** Returns a builder with the rules that files and pages share. */
  static JsonMapper.Builder builder(JsonFactory factory) {
    SimpleModule finite =
        new SimpleModule()
            .addSerializer(Double.class, new FiniteSerializer())
            .addSerializer(double.class, new FiniteSerializer())
            .addSerializer(double[].class, new FiniteArraySerializer());
    return JsonMapper.builder(factory).addModules(new Jdk8Module(), finite);
  }

  /** Writes an indented document that ends with a line feed. Leaves the stream open. */
  static void write(Record document, OutputStream out) throws IOException {
    FILES
        .writer(new DefaultPrettyPrinter())
        .without(JsonGenerator.Feature.AUTO_CLOSE_TARGET)
        .writeValue(out, document);
    out.write('\n');
  }

  private static void number(JsonGenerator json, double value) throws IOException {
    if (Double.isFinite(value)) {
      json.writeNumber(value);
    } else {
      json.writeNull();
    }
  }

  private static final class FiniteSerializer extends StdSerializer<Double> {
    private static final long serialVersionUID = 1L;

    FiniteSerializer() {
      super(Double.class);
    }

    @Override
    public void serialize(Double value, JsonGenerator json, SerializerProvider provider)
        throws IOException {
      number(json, value);
    }
  }

  private static final class FiniteArraySerializer extends StdSerializer<double[]> {
    private static final long serialVersionUID = 1L;

    FiniteArraySerializer() {
      super(double[].class);
    }

    @Override
    public void serialize(double[] values, JsonGenerator json, SerializerProvider provider)
        throws IOException {
      json.writeStartArray();
      for (double value : values) {
        number(json, value);
      }
      json.writeEndArray();
    }
  }
}
