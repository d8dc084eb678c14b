package org.threegate.report;

import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.SerializableString;
import com.fasterxml.jackson.core.io.CharacterEscapes;
import com.fasterxml.jackson.core.io.SerializedString;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.ser.std.StdSerializer;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.threegate.checkpoint.PagePolicy;

/** Renders pages that hold their data and their plotting library and so need no network. */
final class HtmlPage {
  private static final String ECHARTS = "/META-INF/resources/webjars/echarts/5.5.0/echarts.min.js";
  private static final String LIBRARY = "/*ECHARTS*/";

  /** Hash of {@link #echarts} as a script. A test checks it. */
  static final String LIBRARY_HASH = "sha256-czbEZ+Rfm476qZ39uaI2li3UpLDfGfNbgB+mEc4eBvQ=";

  private static final String LICENCES = "/META-INF/licenses/echarts/";
  private static final int LAST_ASCII = 127;
  private static final ObjectWriter DATA = writer();

  private HtmlPage() {}

  static String render(String template, Record data) throws IOException {
    String page =
        resource("/org/threegate/report/" + template)
            .replace("/*STYLE*/", resource("/org/threegate/report/style.css"))
            .replace("/*SHARED*/", resource("/org/threegate/report/shared.js"));
    // The library is as long as a hundred such pages, and searching it for places takes longer than
    // a
    // small comparison.
    String library = echarts();
    int at = page.indexOf(LIBRARY);
    String before = page.substring(0, at);
    String after = page.substring(at + LIBRARY.length());
    String policy =
        PagePolicy.of(page).replace(PagePolicy.hash(LIBRARY), LIBRARY_HASH)
            + "; trusted-types default";
    // The data come last, so that nothing in them is taken for a place to fill, or for a script.
    return before.replace("/*POLICY*/", policy)
        + library
        + after.replace("/*DATA*/", DATA.writeValueAsString(data));
  }

  /**
   * Returns the plotting library with its notices, which its file lacks: whoever passes a page on
   * passes the library on. A test checks that it can be a script of a page as it is.
   */
  static String echarts() throws IOException {
    StringBuilder script = new StringBuilder();
    for (String notice : List.of("NOTICE", "LICENSE-zrender", "LICENSE-d3")) {
      script.append("/*\n").append(resource(LICENCES + notice)).append("*/\n");
    }
    return script.append(text(ECHARTS)).toString();
  }

  private static String resource(String name) throws IOException {
    return text(name).replace("\r\n", "\n");
  }

  private static String text(String name) throws IOException {
    try (InputStream in = HtmlPage.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IOException(name + " is not on the class path");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private static ObjectWriter writer() {
    SimpleModule shown =
        new SimpleModule()
            .addSerializer(String.class, new ShownSerializer(JsonGenerator::writeString))
            .addKeySerializer(String.class, new ShownSerializer(JsonGenerator::writeFieldName));
    return ReportMapper.builder(
            new JsonFactoryBuilder()
                .characterEscapes(new ScriptEscapes())
                .highestNonEscapedChar(LAST_ASCII)
                .build())
        .addModule(shown)
        .build()
        .writer();
  }

  /** Makes text from outside visible and limits its length. */
  private static final class ShownSerializer extends StdSerializer<String> {
    private static final long serialVersionUID = 1L;

    /** Writes a string as a value or as a key. */
    @FunctionalInterface
    private interface Writing {
      void write(JsonGenerator json, String text) throws IOException;
    }

    private final transient Writing writing;

    ShownSerializer(Writing writing) {
      super(String.class);
      this.writing = writing;
    }

    @Override
    public void serialize(String text, JsonGenerator json, SerializerProvider provider)
        throws IOException {
      writing.write(json, ShownText.of(text));
    }
  }

  /** Escapes what could end the script element: names come from outside. */
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
}
