/* Tests of qapi/dispatch.h: requests as clients send them, replies compared as text. */
#include "qapi/dispatch.h"
#include "qapi/test-schema.h"

static bool call_echo(QCallContext *cc, void *args, void *ret, Error **errp)
{
    Point *p = args, *copy;

    if (p->x < 0) {
        return error_set_class(errp, ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", p->label ? p->label : "?");
    }
    copy = q_calloc(1, sizeof(*copy));
    qvalue_copy(&t_Point, copy, p, cc->refs);
    *(Point **)ret = copy;
    return true;
}

static bool call_list(QCallContext *cc, void *args, void *ret, Error **errp)
{
    QAnyList *l = ret;

    g_assert_null(args);
    l->len = 2;
    l->items = q_calloc(2, sizeof(char *));
    ((char **)l->items)[0] = q_strdup("a");
    ((char **)l->items)[1] = q_strdup("b");
    return true;
}

static bool call_nothing(QCallContext *cc, void *args, void *ret, Error **errp)
{
    return true;
}

static const QCommand c_echo = { ITEM("echo"), .args = &t_Point, .ret = &t_Point, .phases = PHASE_ALL, .call = call_echo };
static const QCommand c_list = { ITEM("list"), .ret = &t_strs, .phases = PHASE_ALL, .call = call_list, .allow_oob = true };
static const QCommand c_quiet = { ITEM("quiet"), .phases = PHASE_ALL, .call = call_nothing, .no_reply = true };
static const QCommand c_early = { ITEM("early"), .phases = PHASE_CONFIG, .call = call_nothing };
static const QCommand c_late = { ITEM("late"), .phases = PHASE_MACHINE | PHASE_RUNNING, .call = call_nothing };
static const QCommand *const commands[] = { &c_early, &c_echo, &c_late, &c_list, &c_quiet };
static const QSchema schema = { .commands = commands, .num_commands = COUNT(commands) };

static uint32_t phase_config(const QCallContext *cc)
{
    return PHASE_CONFIG;
}

static uint32_t phase_paused(const QCallContext *cc)
{
    return PHASE_PAUSED;
}

static bool refuse(QCallContext *cc, const char *command, Error **errp)
{
    return error_set_class(errp, ERROR_COMMAND_NOT_FOUND, "no %s yet", command);
}

#define GENERIC(text) "{\"error\": {\"class\": \"GenericError\", \"desc\": \"" text "\"}}"
static const struct {
    const char *in, *out;
} cases[] = {
    { "{'execute':'echo','arguments':{'x':5,'label':'l'},'id':{'a':1}}",
      "{\"return\": {\"x\": 5, \"label\": \"l\"}, \"id\": {\"a\": 1}}" },
    { "{'execute':'list'}", "{\"return\": [\"a\", \"b\"]}" },
    { "{'execute':'late','id':null}", "{\"id\": null, \"error\": {\"class\": \"GenericError\", \"desc\": \"The command "
      "'late' is permitted only after machine initialization has completed\"}}" },
    { "{'execute':'early'}", "{\"return\": {}}" },
    { "{'execute':'early','arguments':{'a':1}}", GENERIC("Parameter 'a' is unexpected") },
    { "{'execute':'quiet'}", NULL },
    { "{'execute':'echo'}", GENERIC("Parameter 'x' is missing") },
    { "{'execute':'echo','arguments':{'x':-1,'label':'d'},'id':7}",
      "{\"id\": 7, \"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"Device 'd' not found\"}}" },
    { "{'execute':'foo','id':3}",
      "{\"id\": 3, \"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command foo has not been found\"}}" },
    { "[]", GENERIC("QMP input must be a JSON object") }, { "null", GENERIC("QMP input must be a JSON object") },
    { "{}", GENERIC("QMP input lacks member 'execute'") },
    { "{'execute':5}", GENERIC("QMP input member 'execute' must be a string") },
    { "{'execute':'list','arguments':[]}", GENERIC("QMP input member 'arguments' must be an object") },
    { "{'execute':'list','control':1}", GENERIC("QMP input member 'control' is unexpected") },
    { "{'execute':'list','exec-oob':'x'}", GENERIC("QMP input member 'execute' clashes with 'exec-oob'") },
    { "{'exec-oob':'echo'}", GENERIC("The command echo does not support OOB") },
    { "{'exec-oob':'list'}", "{\"return\": [\"a\", \"b\"]}" },
};

static char *ask(QCallContext *cc, const char *text)
{
    struct json_object *request = parse_json(text), *reply = qmp_dispatch(cc, request);
    char *out = reply ? qjson_text(reply, false) : NULL;

    json_object_put(request);
    json_object_put(reply);
    return out;
}

static void test_requests(void)
{
    QCallContext cc = { .schema = &schema, .phase = phase_config, .oob_enabled = true };

    for (size_t i = 0; i < COUNT(cases); i++) {
        g_autofree char *out = ask(&cc, cases[i].in);
        g_assert_cmpstr(out, ==, cases[i].out);
    }
}

static void test_context(void)
{
    QCallContext cc = { .schema = &schema, .phase = phase_paused };
    g_autofree char *early = ask(&cc, "{'execute':'early'}"), *late = ask(&cc, "{'execute':'late'}");
    g_autofree char *oob = ask(&cc, "{'exec-oob':'list'}"), *refused = NULL;

    g_assert_cmpstr(early, ==, GENERIC("The command is permitted only before machine initialization"));
    g_assert_cmpstr(late, ==, GENERIC("The command 'late' is not permitted while the machine is paused"));
    g_assert_cmpstr(oob, ==, GENERIC("QMP input member 'exec-oob' is unexpected"));
    cc.admit = refuse;
    refused = ask(&cc, "{'execute':'foo'}");
    g_assert_cmpstr(refused, ==, "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no foo yet\"}}");
}

static void test_event(void)
{
    static const QEvent ev = { ITEM("POINT"), .args = &t_Point }, bare = { ITEM("STOP") };
    Point p = { .x = 3 };
    struct json_object *j = qevent_json(&ev, &p, NULL), *stamp, *seconds, *data;
    g_autofree char *text = NULL;

    g_assert_true(json_object_object_get_ex(j, "timestamp", &stamp));
    g_assert_true(json_object_object_get_ex(stamp, "seconds", &seconds));
    g_assert_cmpint(labs(json_object_get_int64(seconds) - g_get_real_time() / 1000000), <, 10);
    g_assert_true(json_object_object_get_ex(j, "data", &data));
    text = qjson_text(data, false);
    g_assert_cmpstr(text, ==, "{\"x\": 3}");
    json_object_put(j);
    j = qevent_json(&bare, NULL, NULL);
    g_assert_false(json_object_object_get_ex(j, "data", NULL));
    json_object_put(j);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dispatch/requests", test_requests);
    g_test_add_func("/dispatch/context", test_context);
    g_test_add_func("/dispatch/event", test_event);
    return g_test_run();
}
