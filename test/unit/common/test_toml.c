#include "common/toml.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"

static struct toml *parse(const char *text)
{
	struct toml *top = NULL;
	struct error err = { 0 };

	cr_assert_eq(toml_parse("f", text, strlen(text), &top, &err), 0, "%s", err.text);
	return top;
}

static void expect_failure(const char *text, const char *expected)
{
	struct toml *top = NULL;
	struct error err = { 0 };

	cr_expect_eq(toml_parse("f", text, strlen(text), &top, &err), -EINVAL, "%s", text);
	cr_expect_str_eq(err.text, expected);
	cr_expect_null(top);
}

static const struct toml *member(const struct toml *table, const char *key)
{
	for (size_t i = 0; i < table->n_items; i++)
		if (!strcmp(table->items[i]->key, key))
			return table->items[i];
	return NULL;
}

/* The value at a dotted path of bare keys; "#1" is the element 1 of an array. */
static const struct toml *at(const struct toml *top, const char *path)
{
	autofree char *copy = mem_strdup(path);
	char *rest = copy;
	char *part;

	while ((part = strsep(&rest, "."))) {
		if (*part == '#') {
			cr_assert_lt((size_t)atoi(part + 1), top->n_items, "%s", path);
			top = top->items[atoi(part + 1)];
		} else {
			top = member(top, part);
		}
		cr_assert_not_null(top, "%s", path);
	}
	return top;
}

Test(toml, reads_every_type)
{
	autodestroy(toml) struct toml *top =
		parse("# first\n"
	              "s = \"a\\tb\\u00e9\\\"\"\r\n"
	              "l = 'C:\\x'\n"
	              "i = -1_000\n"
	              "h = 0xFF_ff\n"
	              "o = 0o17\n"
	              "b = 0b101\n"
	              "f = 6.5e-1\n"
	              "inf = -inf\n"
	              "nan = nan\n"
	              "t = true\n"
	              "d = 1979-05-27T07:32:00.5-08:00 # and a comment\n"
	              "array = [ 1, 'two', # three\n [3.0], ]\n"
	              "table = { x = 1, y.z = 2 }");

	cr_expect_str_eq(at(top, "s")->string, "a\tb\xc3\xa9\"");
	cr_expect_eq(at(top, "s")->line, 2);
	cr_expect_str_eq(at(top, "l")->string, "C:\\x");
	cr_expect_eq(at(top, "i")->integer, -1000);
	cr_expect_eq(at(top, "h")->integer, 0xffff);
	cr_expect_eq(at(top, "o")->integer, 15);
	cr_expect_eq(at(top, "b")->integer, 5);
	cr_expect_eq(at(top, "f")->type, TOML_FLOAT);
	cr_expect_eq(at(top, "f")->real, 0.65);
	cr_expect(isinf(at(top, "inf")->real) && at(top, "inf")->real < 0);
	cr_expect(isnan(at(top, "nan")->real));
	cr_expect_eq(at(top, "t")->boolean, true);
	cr_expect_eq(at(top, "d")->type, TOML_DATETIME);
	cr_expect_str_eq(at(top, "d")->string, "1979-05-27T07:32:00.5-08:00");
	cr_expect_eq(at(top, "array")->n_items, 3);
	cr_expect_str_eq(at(top, "array.#1")->string, "two");
	cr_expect_eq(at(top, "array.#2.#0")->real, 3.0);
	cr_expect_eq(at(top, "array.#2")->line, 14);
	cr_expect_eq(at(top, "table.y.z")->integer, 2);
}

Test(toml, reads_strings_of_several_lines)
{
	autodestroy(toml) struct toml *top = parse("a = \"\"\"\nRoses \\\n\n   red\\r\"\"\"\"\"\n"
	                                           "b = '''\r\none\r\ntwo'''\n"
	                                           "c = \"\"\"\"\"\"\n");

	cr_expect_str_eq(at(top, "a")->string, "Roses red\r\"\"");
	cr_expect_str_eq(at(top, "b")->string, "one\ntwo");
	cr_expect_str_eq(at(top, "c")->string, "");
	cr_expect_eq(at(top, "c")->line, 8);
}

Test(toml, builds_tables_from_headers_and_dotted_keys)
{
	autodestroy(toml) struct toml *top = parse("a.b = 1\n"
	                                           "[x.y.\"z w\".v]\n"
	                                           "k = 2\n"
	                                           "[x] # after its child\n"
	                                           "l.m = 3\n"
	                                           "l.n = 4\n"
	                                           "[[p.q]]\n"
	                                           "r = 5\n"
	                                           "[p.q.s]\n"
	                                           "t = 6\n"
	                                           "[[p.q]]\n");

	cr_expect_eq(at(top, "a.b")->integer, 1);
	cr_expect_eq(at(top, "x.y.z w.v.k")->integer, 2);
	cr_expect_eq(at(top, "x.l.n")->integer, 4);
	cr_expect_eq(at(top, "p.q.#0.s.t")->integer, 6);
	cr_expect_eq(at(top, "p.q")->n_items, 2);
	cr_expect_eq(at(top, "p.q.#1")->n_items, 0);
	cr_expect_null(member(top, "nosuch"));
}

Test(toml, names_the_line_of_what_is_wrong)
{
	static const struct {
		const char *text;
		const char *expected;
	} rows[] = {
		{ "a = 1\nb\n", "f:2: expected '=', found the end of the line" },
		{ "a = \n", "f:1: expected a value, found the end of the line" },
		{ "a = ", "f:1: expected a value, found the end of the file" },
		{ "a = 1 b = 2", "f:1: expected the end of the line, found 'b'" },
		{ "a = 1\n\na = 2", "f:3: key \"a\" comes twice" },
		{ "[a]\n[a]", "f:2: table \"a\" is defined already" },
		{ "[a]\nb.c = 1\n[a.b]", "f:3: table \"b\" is defined already" },
		{ "[a.b.c]\nz = 9\n[a]\nb.c.t = 1", "f:4: table \"c\" is defined already" },
		{ "a = {}\n[a.b]", "f:2: key \"a\" has a value already" },
		{ "a = [{}]\n[[a]]", "f:2: key \"a\" is not an array of tables" },
		{ "a = { b = 1, }", "f:1: expected a key, found '}'" },
		{ "a = { b = 1\n}", "f:1: expected ',' or '}', found the end of the line" },
		{ "a = 01", "f:1: a number that begins with 0" },
		{ "a = 1__0", "f:1: expected a digit, found '_'" },
		{ "a = 9223372036854775808", "f:1: integer 9223372036854775808 is too big" },
		{ "a = .5", "f:1: expected a value, found '.'" },
		{ "a = 1.", "f:1: expected a digit, found the end of the file" },
		{ "a = 2023-02-29", "f:1: no date or time" },
		{ "a = \"x\n\"", "f:1: a string without end" },
		{ "a = \"\\x\"", "f:1: expected an escape, found 'x'" },
		{ "a = \"\\ud800\"", "f:1: no Unicode character has the number d800" },
		{ "a = \"\x01\"", "f:1: control character 0x01 in a string" },
		{ "# \x7f", "f:1: control character 0x7f in a comment" },
		{ "a = 1\nb = \"\xc0\xaf\"", "f:2: no UTF-8: byte 0xc0" },
		{ "a = 1\rb = 2", "f:1: expected the end of the line, found byte 0x0d" },
		{ "\"a\\u0000\" = 1", "f:1: a key with a NUL byte" },
		{ "= 1", "f:1: expected a key, found '='" },
		{ "a = tru", "f:1: expected a value, found 't'" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_failure(rows[i].text, rows[i].expected);
}

Test(toml, bounds_what_a_text_can_cost)
{
	autofree char *text = mem_alloc(TOML_TEXT_MAX + 2);
	size_t len = 0;

	memset(text, '\n', TOML_TEXT_MAX + 1);
	expect_failure(text, "f: longer than 1048576 bytes");
	memset(text, '[', TOML_DEPTH_MAX + 5);
	memcpy(text, "a = ", 4);
	text[TOML_DEPTH_MAX + 5] = '\0';
	expect_failure(text, "f:1: more than 64 arrays and tables in one another");
	for (int i = 0; i <= TOML_DEPTH_MAX; i++)
		len += (size_t)sprintf(text + len, "a.");
	expect_failure(text, "f:1: a key of more than 64 parts");
	len = 0;
	for (int i = 0; i <= TOML_MEMBERS_MAX; i++)
		len += (size_t)sprintf(text + len, "k%d = 1\n", i);
	expect_failure(text, "f:4097: a table of more than 4096 keys");
}
