#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "common/toml_reader.h"

#define NUMBER_MAX 400 /* digits of a number: more than any that can be told apart */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_digit_of(char c, int base)
{
	if (base <= 10)
		return c >= '0' && c < '0' + base;
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Digits with single underscores between them, copied to @out without. */
static int read_digits(struct toml_reader *reader, int base, char *out, size_t *len)
{
	do {
		if (!is_digit_of(toml_peek(reader), base))
			return toml_fail_here(reader, "a digit");
		while (is_digit_of(toml_peek(reader), base)) {
			if (*len == NUMBER_MAX)
				return toml_fail(reader, "a number of too many digits");
			out[(*len)++] = *reader->at++;
		}
	} while (toml_skip(reader, "_"));
	return 0;
}

static int set_integer(struct toml_reader *reader, struct toml *value, const char *digits, int base)
{
	errno = 0;
	value->type = TOML_INTEGER;
	value->integer = strtoll(digits, NULL, base);
	return errno ? toml_fail(reader, "integer %s is too big", digits) : 0;
}

/* Where one of 0x, 0o, 0b starts it. */
static int read_based(struct toml_reader *reader, int base, struct toml *value)
{
	char digits[NUMBER_MAX + 1] = "";
	size_t len = 0;
	int r = read_digits(reader, base, digits, &len);

	return r < 0 ? r : set_integer(reader, value, digits, base);
}

static int read_fraction(struct toml_reader *reader, char *text, size_t *len)
{
	text[(*len)++] = '.';
	return read_digits(reader, 10, text, len);
}

static int read_exponent(struct toml_reader *reader, char *text, size_t *len)
{
	text[(*len)++] = 'e';
	if (toml_peek(reader) == '+' || toml_peek(reader) == '-')
		text[(*len)++] = *reader->at++;
	return read_digits(reader, 10, text, len);
}

static int read_decimal(struct toml_reader *reader, struct toml *value, const char *start)
{
	char text[NUMBER_MAX + 8] = "";
	size_t len = 0;
	bool is_float = false;
	int r;

	if (*start == '+' || *start == '-')
		text[len++] = *start;
	r = read_digits(reader, 10, text, &len);
	if (r == 0 && text[len > 0 && !is_digit(text[0])] == '0' &&
	    len > 1 + (size_t)!is_digit(text[0]))
		return toml_fail(reader, "a number that begins with 0");
	if (r == 0 && toml_skip(reader, ".")) {
		is_float = true;
		r = read_fraction(reader, text, &len);
	}
	if (r == 0 && (toml_skip(reader, "e") || toml_skip(reader, "E"))) {
		is_float = true;
		r = read_exponent(reader, text, &len);
	}
	if (r < 0 || !is_float)
		return r < 0 ? r : set_integer(reader, value, text, 10);
	value->type = TOML_FLOAT;
	value->real = strtod(text, NULL);
	return 0;
}

static int read_plain(struct toml_reader *reader, struct toml *value)
{
	const char *start = reader->at;

	if (toml_skip(reader, "0x"))
		return read_based(reader, 16, value);
	if (toml_skip(reader, "0o"))
		return read_based(reader, 8, value);
	if (toml_skip(reader, "0b"))
		return read_based(reader, 2, value);
	if (*start == '+' || *start == '-')
		reader->at++;
	value->type = TOML_FLOAT;
	if (toml_skip(reader, "inf")) {
		value->real = *start == '-' ? -INFINITY : INFINITY;
		return 0;
	}
	if (toml_skip(reader, "nan")) {
		value->real = NAN;
		return 0;
	}
	return read_decimal(reader, value, start);
}

/* Exactly @n digits; -1 if they are not there. */
static int fixed(const char **at, const char *end, int n)
{
	int number = 0;

	for (int i = 0; i < n; i++) {
		if (*at == end || !is_digit(**at))
			return -1;
		number = number * 10 + *(*at)++ - '0';
	}
	return number;
}

static bool expect(const char **at, const char *end, char c)
{
	if (*at == end || **at != c)
		return false;
	(*at)++;
	return true;
}

static int days_of(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

static bool read_date(const char **at, const char *end)
{
	int year = fixed(at, end, 4);
	int month = expect(at, end, '-') ? fixed(at, end, 2) : -1;
	int day = expect(at, end, '-') ? fixed(at, end, 2) : -1;

	return year >= 0 && month >= 1 && month <= 12 && day >= 1 && day <= days_of(year, month);
}

static bool read_hour_minute(const char **at, const char *end)
{
	int hour = fixed(at, end, 2);
	int minute = expect(at, end, ':') ? fixed(at, end, 2) : -1;

	return hour >= 0 && hour < 24 && minute >= 0 && minute < 60;
}

static bool read_time(const char **at, const char *end)
{
	int second;

	if (!read_hour_minute(at, end) || !expect(at, end, ':'))
		return false;
	second = fixed(at, end, 2);
	if (second < 0 || second > 60)
		return false;
	if (!expect(at, end, '.'))
		return true;
	if (*at == end || !is_digit(**at))
		return false;
	while (*at < end && is_digit(**at))
		(*at)++;
	return true;
}

static bool read_offset(const char **at, const char *end)
{
	if (*at == end || !strchr("Zz+-", **at))
		return true;
	if ((*(*at)++ | 0x20) == 'z')
		return true;
	return read_hour_minute(at, end);
}

static bool has_time(const char *at, const char *end)
{
	return end - at > 2 && (*at == 'T' || *at == 't' || *at == ' ') && is_digit(at[1]) &&
	       is_digit(at[2]);
}

static int read_datetime(struct toml_reader *reader, struct toml *value, bool has_date)
{
	const char *at = reader->at;
	bool good = has_date ? read_date(&at, reader->end) : read_time(&at, reader->end);

	if (good && has_date && has_time(at, reader->end)) {
		at++;
		good = read_time(&at, reader->end) && read_offset(&at, reader->end);
	}
	if (!good)
		return toml_fail(reader, "no date or time");
	value->type = TOML_DATETIME;
	value->len = (size_t)(at - reader->at);
	value->string = mem_printf("%.*s", (int)value->len, reader->at);
	reader->at = at;
	return 0;
}

int toml_read_number(struct toml_reader *reader, struct toml *value)
{
	size_t digits = 0;

	while (digits < 5 && reader->at + digits < reader->end && is_digit(reader->at[digits]))
		digits++;
	if (reader->at + digits < reader->end && digits == 4 && reader->at[digits] == '-')
		return read_datetime(reader, value, true);
	if (reader->at + digits < reader->end && digits == 2 && reader->at[digits] == ':')
		return read_datetime(reader, value, false);
	return read_plain(reader, value);
}
