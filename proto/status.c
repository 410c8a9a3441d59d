#include "proto/status.h"

#include <stdio.h>

#include "common/text.h"

#define CODE_LAST ERROR_UNAUTHENTICATED

void status_from_error(struct status *status, const struct error *err)
{
	google__rpc__status__init(&status->message);
	snprintf(status->text, sizeof(status->text), "%s", err->text);
	text_clean(status->text);
	status->message.code = err->code == ERROR_NONE ? ERROR_UNKNOWN : err->code;
	status->message.message = status->text;
}

void status_to_error(const Google__Rpc__Status *message, struct error *out)
{
	*out = (struct error){ 0 };
	if (!message || message->code == ERROR_NONE)
		return;
	out->code = message->code > 0 && message->code <= (int)CODE_LAST ? message->code
	                                                                 : ERROR_UNKNOWN;
	snprintf(out->text, sizeof(out->text), "%s", message->message);
	text_clean(out->text);
}
