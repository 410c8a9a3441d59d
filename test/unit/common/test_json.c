#include "common/json.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"

struct pair {
	char *key;
	char *value;
};

struct leaf {
	char *name;
	int64_t i64;
};

struct sample {
	char *text;
	int flag;
	int64_t i64;
	uint32_t u32;
	uint64_t u64;
	struct leaf *leaf;
	size_t n_words;
	char **words;
	size_t n_numbers;
	uint32_t *numbers;
	size_t n_leaves;
	struct leaf **leaves;
	size_t n_pairs;
	struct pair **pairs;
	int custom;
};

static int read_custom(const json_t *value, const struct json_path *at, void *target,
                       struct error *err)
{
	struct sample *sample = target;

	if (!json_is_true(value))
		return json_fail(at, err, "must be %s", "true");
	sample->custom = 1;
	return 0;
}

/* clang-format off: one row a line */
static const struct json_table leaf_table = {
	.size = sizeof(struct leaf),
	.initial = &(const struct leaf){ .i64 = -1 },
	.fields =
		(const struct json_field[]){
			{ JSON_STRING(struct leaf, "name", name), .required = true },
			{ JSON_INT64(struct leaf, "i64", i64) },
			{ 0 },
		},
};

static const struct json_table pair_table = {
	.size = sizeof(struct pair),
	.initial = &(const struct pair){ 0 },
	.fields =
		(const struct json_field[]){
			{ JSON_STRING(struct pair, "key", key) },
			{ JSON_STRING(struct pair, "value", value) },
			{ 0 },
		},
};

static const struct json_table sample_table = {
	.size = sizeof(struct sample),
	.initial = &(const struct sample){ 0 },
	.fields =
		(const struct json_field[]){
			{ JSON_STRING(struct sample, "text", text) },
			{ JSON_BOOL(struct sample, "flag", flag) },
			{ JSON_INT64(struct sample, "i64", i64) },
			{ JSON_UINT32(struct sample, "u32", u32) },
			{ JSON_UINT64(struct sample, "u64", u64) },
			{ JSON_OBJECT(struct sample, "leaf", leaf, &leaf_table) },
			{ JSON_STRINGS(struct sample, "words", words) },
			{ JSON_UINT32S(struct sample, "numbers", numbers) },
			{ JSON_OBJECTS(struct sample, "leaves", leaves, &leaf_table) },
			{ JSON_MAP(struct sample, "pairs", pairs, &pair_table) },
			{ JSON_REFUSED("refused") },
			{ JSON_CUSTOM("custom", read_custom) },
			{ 0 },
		},
};
/* clang-format on */

static void leaf_free(struct leaf *leaf)
{
	if (leaf)
		free(leaf->name);
	free(leaf);
}

static void sample_fini(struct sample *sample)
{
	free(sample->text);
	leaf_free(sample->leaf);
	for (size_t i = 0; i < sample->n_words; i++)
		free(sample->words[i]);
	free(sample->words);
	free(sample->numbers);
	for (size_t i = 0; i < sample->n_leaves; i++)
		leaf_free(sample->leaves[i]);
	free(sample->leaves);
	for (size_t i = 0; i < sample->n_pairs; i++) {
		free(sample->pairs[i]->key);
		free(sample->pairs[i]->value);
		free(sample->pairs[i]);
	}
	free(sample->pairs);
}

static int read_sample(const char *text, struct sample *sample, struct error *err)
{
	json_t *value = NULL;
	int r;

	*sample = (struct sample){ 0 };
	r = json_parse("file", text, strlen(text), &value, err);
	if (r == 0)
		r = json_read(value, NULL, &sample_table, sample, err);
	json_decref(value);
	return r;
}

static void expect_failure(const char *text, int r_expected, const char *expected)
{
	struct sample sample;
	struct error err = { 0 };
	int r = read_sample(text, &sample, &err);

	cr_expect_eq(r, r_expected, "%s: %d", text, r);
	cr_expect_str_eq(err.text, expected);
	sample_fini(&sample);
}

Test(json, fills_a_structure_from_its_table)
{
	struct sample s;
	struct error err = { 0 };

	cr_assert_eq(
		read_sample("{\"text\": \"t\", \"flag\": true,"
	                    "\"i64\": -9223372036854775808, \"u32\": 4294967295,"
	                    "\"leaf\": {\"name\": \"one\"},"
	                    "\"words\": [\"a\", \"\"], \"numbers\": [1, 2],"
	                    "\"leaves\": [{\"name\": \"x\", \"i64\": 3}, {\"name\": \"y\"}],"
	                    "\"pairs\": {\"k.1\": \"v\"}, \"custom\": true, \"unknown\": [1.5]}",
	                    &s, &err),
		0, "%s", err.text);
	cr_expect_str_eq(s.text, "t");
	cr_expect_eq(s.flag, 1);
	cr_expect_eq(s.i64, INT64_MIN);
	cr_expect_eq(s.u32, UINT32_MAX);
	cr_expect_str_eq(s.leaf->name, "one");
	cr_expect_eq(s.leaf->i64, -1);
	cr_expect_eq(s.n_words, 2);
	cr_expect_str_eq(s.words[0], "a");
	cr_expect_str_eq(s.words[1], "");
	cr_expect_eq(s.n_numbers, 2);
	cr_expect_eq(s.numbers[1], 2);
	cr_expect_eq(s.n_leaves, 2);
	cr_expect_eq(s.leaves[0]->i64, 3);
	cr_expect_str_eq(s.leaves[1]->name, "y");
	cr_expect_eq(s.n_pairs, 1);
	cr_expect_str_eq(s.pairs[0]->key, "k.1");
	cr_expect_str_eq(s.pairs[0]->value, "v");
	cr_expect_eq(s.custom, 1);
	sample_fini(&s);
}

Test(json, takes_null_as_absent)
{
	struct sample s;
	struct error err = { 0 };

	cr_assert_eq(read_sample("{\"text\": null, \"words\": null, \"leaf\": null, \"u64\": null,"
	                         "\"custom\": null, \"refused\": null}",
	                         &s, &err),
	             0, "%s", err.text);
	cr_expect_null(s.text);
	cr_expect_null(s.leaf);
	cr_expect_eq(s.custom, 0);
	expect_failure("{\"leaf\": {\"name\": null}}", -EINVAL, "leaf.name: missing");
	expect_failure("{\"words\": [null]}", -EINVAL, "words[0]: expected string, found null");
}

Test(json, reads_unsigned_integers_up_to_the_last)
{
	static const struct {
		const char *text;
		uint64_t value;
	} rows[] = {
		{ "{\"u64\": 0}", 0 },
		{ "{\"u64\": 9223372036854775807}", INT64_MAX },
		{ "{\"u64\": 9223372036854775808}", 1ULL << 63 },
		{ "{\"u64\":9999999999999999999,\"text\":\"\"}", 9999999999999999999ULL },
		{ "{\"u64\":10000000000000000000}", 10000000000000000000ULL },
		{ "{\"text\":\"\\\"\\\\\",\"u64\":18446744073709551615}", UINT64_MAX },
	};
	struct sample s;
	struct error err = { 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(read_sample(rows[i].text, &s, &err), 0, "%s", err.text);
		cr_expect_eq(s.u64, rows[i].value, "%s", rows[i].text);
		sample_fini(&s);
	}
	expect_failure("{\"u64\": 18446744073709551616}", -EINVAL,
	               "file: line 1, column 28: too big integer near '18446744073709551616'");
	expect_failure("{\"i64\": 9223372036854775808}", -EINVAL,
	               "i64: expected integer from -9223372036854775808 to 9223372036854775807, "
	               "found 9223372036854775808");
	expect_failure("{\"text\": 18446744073709551615}", -EINVAL,
	               "text: expected string, found integer");
}

Test(json, takes_no_string_for_an_integer)
{
	expect_failure("{\"u64\": \"x00000000000000ff\"}", -EINVAL,
	               "u64: expected integer, found string");
	expect_failure("{\"u64\": \"0x00000000000000ff\"}", -EINVAL,
	               "u64: expected integer, found string");
	expect_failure("{\"u64\": \"\xef\xb7\x90"
	               "00000000000007v\"}",
	               -EINVAL, "file: invalid character U+FDD0: it stands for no text");
	expect_failure("{\"u64\": \"\\uFdD000000000000007v\"}", -EINVAL,
	               "file: invalid character U+FDD0: it stands for no text");
}

Test(json, leaves_digits_in_strings_and_fractions_alone)
{
	struct sample s;
	struct error err = { 0 };

	cr_assert_eq(read_sample("{\"text\": \"\\\\ \\\" 18446744073709551615\","
	                         "\"unknown\": [-0.18446744073709551615, 1e18,"
	                         "9999999999999999999.5, 9999999999999999999e1]}",
	                         &s, &err),
	             0, "%s", err.text);
	cr_expect_str_eq(s.text, "\\ \" 18446744073709551615");
	sample_fini(&s);
}

Test(json, names_the_path_of_a_wrong_value)
{
	expect_failure("{\"words\": [\"a\", \"b\", 3]}", -EINVAL,
	               "words[2]: expected string, found integer");
	expect_failure("{\"leaves\": [{\"name\": \"x\"}, {\"name\": true}]}", -EINVAL,
	               "leaves[1].name: expected string, found boolean");
	expect_failure("{\"leaves\": {}}", -EINVAL, "leaves: expected array, found object");
	expect_failure("{\"leaf\": []}", -EINVAL, "leaf: expected object, found array");
	expect_failure("{\"flag\": 1}", -EINVAL, "flag: expected boolean, found integer");
	expect_failure("{\"u32\": 1.5}", -EINVAL, "u32: expected integer, found fraction");
	expect_failure("{\"pairs\": {\"a\": \"\", \"b\": 1}}", -EINVAL,
	               "pairs.b: expected string, found integer");
	expect_failure("{\"numbers\": [0, -1]}", -EINVAL,
	               "numbers[1]: expected integer from 0 to 4294967295, found -1");
	expect_failure("{\"u32\": 4294967296}", -EINVAL,
	               "u32: expected integer from 0 to 4294967295, found 4294967296");
	expect_failure("{\"u64\": -1}", -EINVAL,
	               "u64: expected integer from 0 to 9223372036854775807, found -1");
	expect_failure("{\"custom\": false}", -EINVAL, "custom: must be true");
	expect_failure("[]", -EINVAL, "expected object, found array");
}

Test(json, refuses_by_name_what_says_anything)
{
	static const char *const nothing[] = { "null", "false", "0", "0.0", "\"\"", "[]", "{}" };
	static const char *const something[] = { "true", "1", "-0.5", "\"a\"", "[0]", "{\"a\":0}" };
	struct error err = { 0 };
	struct sample s;

	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
		autofree char *text = mem_printf("{\"refused\": %s}", nothing[i]);

		cr_expect_eq(read_sample(text, &s, &err), 0, "%s: %s", text, err.text);
	}
	for (size_t i = 0; i < sizeof(something) / sizeof(something[0]); i++) {
		autofree char *text = mem_printf("{\"refused\": %s}", something[i]);

		expect_failure(text, -ENOSYS, "refused: not supported");
	}
}

Test(json, names_the_line_where_the_text_is_no_json)
{
	expect_failure("{\n\"text\": }", -EINVAL,
	               "file: line 2, column 9: unexpected token near '}'");
	expect_failure("", -EINVAL, "file: line 1, column 0: '[' or '{' expected near end of file");
	expect_failure("{\"text\": \"a\", \"text\": \"b\"}", -EINVAL,
	               "file: line 1, column 20: duplicate object key near '\"text\"'");
	expect_failure("{\"text\": \"\\u0000\"}", -EINVAL,
	               "file: line 1, column 17: \\u0000 is not allowed without JSON_ALLOW_NUL "
	               "near '\"\\u0000\"'");
}

Test(json, bounds_the_text_and_its_arrays)
{
	autofree char *text = mem_alloc(JSON_TEXT_MAX + 2);
	size_t len = 0;
	struct error err = { 0 };
	json_t *value = NULL;

	memset(text, ' ', JSON_TEXT_MAX + 1);
	cr_expect_eq(json_parse("file", text, JSON_TEXT_MAX + 1, &value, &err), -EINVAL);
	cr_expect_str_eq(err.text, "file: longer than 16777216 bytes");

	len = (size_t)sprintf(text, "{\"numbers\": [0");
	for (int i = 0; i < JSON_ARRAY_MAX; i++)
		len += (size_t)sprintf(text + len, ",0");
	sprintf(text + len, "]}");
	expect_failure(text, -EINVAL, "numbers: 700001 elements are more than 700000");
}
