/* Shared by options.c and config.c only. */
#ifndef QAPI_OPTIONS_H
#define QAPI_OPTIONS_H

#include "qapi/keyval.h"

/* Checks the record's id and takes r on success. */
bool qoptions_append(QOptions *o, QOptionRecord *r, Error **errp);
/* NULL is fine. */
void qoption_record_free(QOptionRecord *r);

#endif
