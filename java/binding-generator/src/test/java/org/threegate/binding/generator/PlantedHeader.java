package org.threegate.binding.generator;

/** Header files for tests. */
final class PlantedHeader {
  /** Line of the first declaration. */
  static final int FIRST_LINE = 5;

  private PlantedHeader() {}

  /** Returns a header with the given declarations, which begin on {@link #FIRST_LINE}. */
  static String text(String declarations) {
    return "#ifndef PLANTED_H\n#define PLANTED_H\n\n#include <stdint.h>\n"
        + declarations
        + "\n#endif\n";
  }

  /** Returns the parsed header with the given declarations. */
  static Header header(String declarations) {
    return HeaderParser.parse("planted.h", text(declarations));
  }

  /** One declaration of every kind that the generator understands. */
  static final String EVERY_KIND =
      """
      #if defined(__GNUC__)
      #define TG_API __attribute__((visibility("default")))
      #else
      #define TG_API
      #endif

      #ifdef __cplusplus
      extern "C" {
      #endif

      /* A section ------------------------- */

      typedef int32_t tg_state;  /* how it went */
      typedef int64_t tg_count;
      typedef double tg_share;
      #define TG_FINE 0
      #define TG_BROKEN (-1) /* less than `tg_fine` & worse */
      #define TG_LENGTH 0x10

      typedef struct tg_handle tg_handle;

      /*
       * A pair of {numbers}.
       *
       * Its second @paragraph has a \\ and `code`:
       * - an item
       * - another item, longer than a line of Javadoc may be, so that it is broken between two of its words
       */
      typedef struct tg_pair {
        int32_t first;  /* the one,
                           over two lines */
        tg_state second;
      } tg_pair;

      typedef struct tg_every_field {
        int64_t size;
        tg_pair pairs;
        const tg_pair* list;
        const uint64_t* const* masks; /* of masks */
        /* Above it. */
        tg_share share;
        int32_t counts[3];
        char text[TG_LENGTH];
        int32_t reserved;
        tg_count total;
      } tg_every_field;

      /* Has no parameters. */
      TG_API int32_t tg_nothing(void);

      /* Has all kinds of them; shared with the next one. */
      TG_API tg_state tg_everything(tg_handle* handle, const tg_every_field* fields, tg_handle** created, int32_t number,
                                    int64_t row_count, /* of rows */ double scale, tg_share share, void* out);
      TG_API tg_state tg_everything2(const uint64_t* const* masks);

      TG_API tg_count tg_long_result(tg_state state);
      TG_API double tg_double_result(const char* text);

      #ifdef __cplusplus
      }
      #endif
      """;
}
