/* Packets of the link (docs/link.md); the same for every design, so that several headers go together. */
#ifndef ESPALIER_LINK_H
#define ESPALIER_LINK_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

@CONSTANTS@
/* Bytes that a packet takes on the line at most. */
#define ESPALIER_LINE_MOST (2 + 2 * (ESPALIER_HEADER + ESPALIER_LONGEST + ESPALIER_CRC))

/* Of CRC-32 as in RFC 1662, zlib and Ethernet. */
static inline uint32_t espalier_crc(const uint8_t *bytes, size_t count) {
  uint32_t crc = 0xFFFFFFFFu;
  size_t at;
  int bit;
  for (at = 0; at < count; at++) {
    crc ^= bytes[at];
    for (bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
  }
  return ~crc;
}

static inline size_t espalier_escape(uint8_t byte, uint8_t *line) {
  if (byte != ESPALIER_FLAG && byte != ESPALIER_ESCAPE) {
    line[0] = byte;
    return 1;
  }
  line[0] = ESPALIER_ESCAPE;
  line[1] = (uint8_t)(byte ^ ESPALIER_FLIP);
  return 2;
}

/* Writes a packet to `line`, which has room for ESPALIER_LINE_MOST bytes, and returns how many it takes. */
static inline size_t espalier_encode(int kind, int port, uint8_t sequence, const uint8_t *payload, uint8_t length,
                                     uint8_t *line) {
  uint8_t body[ESPALIER_HEADER + ESPALIER_LONGEST + ESPALIER_CRC];
  size_t count = ESPALIER_HEADER, at, end = 0;
  uint32_t crc;
  body[0] = (uint8_t)(kind << 4 | port);
  body[1] = sequence;
  body[2] = length;
  if (length) memcpy(body + count, payload, length);
  count += length;
  crc = espalier_crc(body, count);
  for (at = 0; at < ESPALIER_CRC; at++) body[count++] = (uint8_t)(crc >> 8 * at);
  line[end++] = ESPALIER_FLAG;
  for (at = 0; at < count; at++) end += espalier_escape(body[at], line + end);
  line[end++] = ESPALIER_FLAG;
  return end;
}

/* Finds packets in what a line brings; all zero at first. `dropped` counts what stood between flags and was none. */
typedef struct {
  uint8_t kind, port, sequence, length;
  const uint8_t *payload; /* until the next byte */
  uint32_t dropped;
  uint8_t is_escaped;
  uint16_t count;
  uint8_t body[ESPALIER_HEADER + ESPALIER_LONGEST + ESPALIER_CRC + 1];
} espalier_decoder;

static inline int espalier_is_packet(const uint8_t *body, size_t count) {
  uint32_t crc = 0;
  int at;
  if (count < ESPALIER_HEADER + ESPALIER_CRC || count != (size_t)body[2] + ESPALIER_HEADER + ESPALIER_CRC) return 0;
  for (at = 0; at < ESPALIER_CRC; at++) crc |= (uint32_t)body[count - ESPALIER_CRC + at] << 8 * at;
  return crc == espalier_crc(body, count - ESPALIER_CRC) && (ESPALIER_KINDS >> (body[0] >> 4) & 1);
}

/* Takes one byte of the line; 1 if it ends a packet, which then stands in the decoder. */
static inline int espalier_decode(espalier_decoder *decoder, uint8_t byte) {
  int is_packet;
  if (byte == ESPALIER_ESCAPE && !decoder->is_escaped) {
    decoder->is_escaped = 1;
    return 0;
  }
  if (byte != ESPALIER_FLAG) {
    /* One byte more than the longest packet has: what is longer is none. */
    if (decoder->count < sizeof decoder->body)
      decoder->body[decoder->count++] = (uint8_t)(decoder->is_escaped ? byte ^ ESPALIER_FLIP : byte);
    decoder->is_escaped = 0;
    return 0;
  }
  is_packet = !decoder->is_escaped && espalier_is_packet(decoder->body, decoder->count);
  if (is_packet) {
    decoder->kind = decoder->body[0] >> 4;
    decoder->port = decoder->body[0] & 15;
    decoder->sequence = decoder->body[1];
    decoder->length = decoder->body[2];
    decoder->payload = decoder->body + ESPALIER_HEADER;
  } else if (decoder->count || decoder->is_escaped) {
    decoder->dropped++;
  }
  decoder->count = 0;
  decoder->is_escaped = 0;
  return is_packet;
}

/* Beats of `lanes` channels of `bits` bits, lane 0 lowest, each in whole bytes; channels of a pixel start a beat. */
static inline void espalier_pack(const int64_t *codes, size_t pixels, size_t channels, size_t lanes, size_t bits,
                                 uint8_t *bytes) {
  size_t size = (lanes * bits + 7) / 8, pixel, first, lane, bit, at;
  for (pixel = 0; pixel < pixels; pixel++, codes += channels)
    for (first = 0; first < channels; first += lanes, bytes += size) {
      memset(bytes, 0, size);
      for (lane = 0; lane < lanes && first + lane < channels; lane++)
        for (bit = 0; bit < bits; bit++) {
          at = lane * bits + bit;
          bytes[at / 8] |= (uint8_t)(((uint64_t)codes[first + lane] >> bit & 1) << at % 8);
        }
    }
}

static inline void espalier_unpack(const uint8_t *bytes, size_t pixels, size_t channels, size_t lanes, size_t bits,
                                   int is_signed, int64_t *codes) {
  size_t size = (lanes * bits + 7) / 8, pixel, first, lane, bit, at;
  uint64_t code;
  for (pixel = 0; pixel < pixels; pixel++)
    for (first = 0; first < channels; first += lanes, bytes += size)
      for (lane = 0; lane < lanes && first + lane < channels; lane++) {
        for (code = 0, bit = 0; bit < bits; bit++) {
          at = lane * bits + bit;
          code |= (uint64_t)(bytes[at / 8] >> at % 8 & 1) << bit;
        }
        *codes++ = (int64_t)code - (is_signed ? (int64_t)(code >> (bits - 1) << bits) : 0);
      }
}

/* Float arithmetic as the model runs it: each result rounded once, never contracted with the next one. */
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "Espalier: float must be computed in single precision; on x86 compile with -msse2 -mfpmath=sse"
#endif
#ifdef __FAST_MATH__
#error "Espalier: -ffast-math changes results; compile without it"
#endif

static inline float espalier_add(float a, float b) { volatile float sum = a + b; return sum; }
static inline float espalier_subtract(float a, float b) { volatile float difference = a - b; return difference; }
static inline float espalier_multiply(float a, float b) { volatile float product = a * b; return product; }
static inline float espalier_divide(float a, float b) { volatile float quotient = a / b; return quotient; }

/* To the nearest integer, ties to even; for magnitudes up to 2**22, and up to 2**51. */
static inline float espalier_round(float x) { return espalier_subtract(espalier_add(x, 12582912.0f), 12582912.0f); }
static inline double espalier_round_double(double x) {
  volatile double sum = x + 6755399441055744.0;
  volatile double whole = sum - 6755399441055744.0;
  return whole;
}

/* The quantizer of QONNX, rounding to nearest even. */
static inline float espalier_quantizer(float x, float scale, float zero, float low, float high) {
  x = espalier_add(espalier_divide(x, scale), zero);
  x = x < low ? low : x;
  x = x > high ? high : x;
  return espalier_multiply(espalier_subtract(espalier_round(x), zero), scale);
}

/* From the quantizer's values to integers and back: value = scale * (step * code + base) + offset. */
static inline float espalier_to_code(float x, double scale, double offset, double step, double base) {
  volatile double moved = (double)x - offset;
  volatile double level = moved / scale;
  return (float)((espalier_round_double(level) - base) / step);
}

static inline float espalier_from_code(int64_t code, double scale, double offset, double step, double base) {
  volatile double level = (double)code * step;
  volatile double shifted = level + base;
  volatile double product = shifted * scale;
  volatile double value = product + offset;
  return (float)value;
}

/* Whether `value` is an integer from low to high, which are below 2**24; it goes to `code`. */
static inline int espalier_is_code(float value, int64_t low, int64_t high, int64_t *code) {
  if (!(value >= (float)low && value <= (float)high)) return 0;
  *code = (int64_t)value;
  return (float)*code == value;
}

#endif
