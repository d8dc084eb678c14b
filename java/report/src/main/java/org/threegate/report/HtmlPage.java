package org.threegate.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.SerializableString;
import com.fasterxml.jackson.core.io.CharacterEscapes;
import com.fasterxml.jackson.core.io.SerializedString;
import com.fasterxml.jackson.core.util.JsonGeneratorDelegate;
import java.io.IOException;
import java.io.InputStream;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.threegate.analysis.diff.ChangeMap;
import org.threegate.checkpoint.PagePolicy;

/** A page with its data and its plotting library in it, readable without a network. */
final class HtmlPage {
  private static final String ECHARTS = "/META-INF/resources/webjars/echarts/5.5.0/echarts.min.js";
  private static final double MAP_SCALE = 255;
  private static final int LAST_ASCII = 127;

  private HtmlPage() {}

  /** Writes the data of a page. */
  @FunctionalInterface
  interface Data {
    void write(JsonGenerator json) throws IOException;
  }

  static String render(String template, Data data) throws IOException {
    StringWriter out = new StringWriter();
    try (JsonGenerator json = new ShowingGenerator(new JsonFactory().createGenerator(out))) {
      json.setCharacterEscapes(new ScriptEscapes());
      json.setHighestNonEscapedChar(LAST_ASCII);
      data.write(json);
    }
    String page =
        resource("/org/threegate/report/" + template)
            .replace("/*ECHARTS*/", resource(ECHARTS).replace("</script", "<\\/script"))
            .replace("/*STYLE*/", resource("/org/threegate/report/style.css"))
            .replace("/*SHARED*/", resource("/org/threegate/report/shared.js"));
    // The data come last, so that nothing in them is taken for a place to fill, or for a script.
    return page.replace("/*POLICY*/", PagePolicy.of(page) + "; trusted-types default")
        .replace("/*DATA*/", out.toString());
  }

  private static String resource(String name) throws IOException {
    try (InputStream in = HtmlPage.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IOException(name + " is not on the class path");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8).replace("\r\n", "\n");
    }
  }

  /** Shows all text that comes from outside. */
  private static final class ShowingGenerator extends JsonGeneratorDelegate {
    ShowingGenerator(JsonGenerator json) {
      super(json);
    }

    @Override
    public void writeFieldName(String name) throws IOException {
      super.writeFieldName(ShownText.of(name));
    }

    @Override
    public void writeString(String text) throws IOException {
      super.writeString(ShownText.of(text));
    }
  }

  /** Names come from outside: nothing in them may end the script element. */
  private static final class ScriptEscapes extends CharacterEscapes {
    private static final long serialVersionUID = 1L;

    @Override
    public int[] getEscapeCodesForAscii() {
      int[] escapes = CharacterEscapes.standardAsciiEscapesForJSON();
      for (char c : new char[] {'<', '>', '&', '\''}) {
        escapes[c] = CharacterEscapes.ESCAPE_CUSTOM;
      }
      return escapes;
    }

    @Override
    public SerializableString getEscapeSequence(int c) {
      return new SerializedString(String.format("\\u%04x", c));
    }
  }

  /**
   * Ratios as bytes.
   *
   * @param sets how many sets the map is the sum of
   */
  static void map(JsonGenerator json, String name, ChangeMap map, List<Long> shape, int sets)
      throws IOException {
    byte[] cells = new byte[map.changed().length];
    for (int i = 0; i < cells.length; i++) {
      long height = extent(i / map.columns(), map.rows(), shape.get(0));
      long width = extent(i % map.columns(), map.columns(), shape.get(1));
      cells[i] = (byte) Math.round(MAP_SCALE * map.changed()[i] / ((double) height * width * sets));
    }
    json.writeObjectFieldStart(name);
    json.writeNumberField("rows", map.rows());
    json.writeNumberField("columns", map.columns());
    json.writeBinaryField("cells", cells);
    json.writeEndObject();
  }

  /** How many of {@code count} indices fall in a cell. */
  private static long extent(long cell, long cells, long count) {
    return first(cell + 1, cells, count) - first(cell, cells, count);
  }

  private static long first(long cell, long cells, long count) {
    return Math.addExact(Math.multiplyExact(cell, count), cells - 1) / cells;
  }
}
