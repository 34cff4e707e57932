/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-irq-probe: the search for the number of vectors against a fake host,
 * and PCI addresses
 */

#include "qemu/osdep.h"
#include "contrib/vfio-irq-probe/probe.h"

typedef struct FakeHost {
    unsigned int limit;     /* vectors that it has */
    bool tells;             /* answers with the number that it has */
    unsigned int taken_at;  /* with this request another device takes half */
    unsigned int requests;
} FakeHost;

static int fake_allocate(void *opaque, unsigned int count)
{
    FakeHost *host = opaque;

    g_assert_cmpint(count, >, 0);
    host->requests++;
    if (host->requests == host->taken_at) {
        host->limit /= 2;
    }
    if (count <= host->limit) {
        return 0;
    }
    return host->tells && host->limit ? host->limit : -ENOSPC;
}

static unsigned int search(FakeHost *host, unsigned int wanted,
                           GArray **refusals)
{
    unsigned int granted;

    *refusals = g_array_new(FALSE, FALSE, sizeof(ProbeRefusal));
    host->requests = 0;
    granted = probe_search(wanted, fake_allocate, host, *refusals);
    for (guint i = 0; i < (*refusals)->len; i++) {
        ProbeRefusal *r = &g_array_index(*refusals, ProbeRefusal, i);

        g_assert_cmpint(r->ret, !=, 0);
        g_assert_cmpint(r->asked, >, granted);
    }
    return granted;
}

static void test_granted(void)
{
    FakeHost host = { .limit = 2048 };
    g_autoptr(GArray) refusals = NULL;

    g_assert_cmpint(search(&host, 2048, &refusals), ==, 2048);
    g_assert_cmpint(host.requests, ==, 1);
    g_assert_cmpint(refusals->len, ==, 0);
}

static void test_none(void)
{
    FakeHost host = { .limit = 2048 };
    g_autoptr(GArray) refusals = NULL;

    g_assert_cmpint(search(&host, 0, &refusals), ==, 0);
    g_assert_cmpint(host.requests, ==, 0);
}

/* AMD's interrupt remapping table before Linux 6.15 */
static void test_short_count(void)
{
    FakeHost host = { .limit = 512, .tells = true };
    g_autoptr(GArray) refusals = NULL;
    ProbeRefusal *refusal;

    g_assert_cmpint(search(&host, 2048, &refusals), ==, 512);
    g_assert_cmpint(host.requests, ==, 2);
    g_assert_cmpint(refusals->len, ==, 1);
    refusal = &g_array_index(refusals, ProbeRefusal, 0);
    g_assert_cmpint(refusal->asked, ==, 2048);
    g_assert_cmpint(refusal->ret, ==, 512);
}

/* What the host had is no longer there when it is asked for. */
static void test_taken(void)
{
    FakeHost host = { .limit = 512, .tells = true, .taken_at = 2 };
    g_autoptr(GArray) refusals = NULL;

    g_assert_cmpint(search(&host, 2048, &refusals), ==, 256);
    g_assert_cmpint(host.requests, ==, 3);
    g_assert_cmpint(refusals->len, ==, 2);
}

static void test_every_limit(void)
{
    for (unsigned int wanted = 1; wanted <= 130; wanted++) {
        for (unsigned int limit = 0; limit <= wanted; limit++) {
            FakeHost host = { .limit = limit };
            g_autoptr(GArray) refusals = NULL;

            g_assert_cmpint(search(&host, wanted, &refusals), ==, limit);
            g_assert_cmpint(host.requests, <=, 9);
            g_assert_cmpint(refusals->len, <=, host.requests);
        }
    }
}

/* An answer that makes no sense must not make the search go on for ever. */
static int nonsense(void *opaque, unsigned int count)
{
    unsigned int *requests = opaque;

    g_assert_cmpint(++*requests, <, 100);
    return count + 1;
}

static void test_nonsense(void)
{
    g_autoptr(GArray) refusals = g_array_new(FALSE, FALSE,
                                             sizeof(ProbeRefusal));
    unsigned int requests = 0;

    g_assert_cmpint(probe_search(2048, nonsense, &requests, refusals), ==, 0);
}

static void test_bdf(void)
{
    static const struct {
        const char *text;
        const char *bdf;
    } cases[] = {
        { "0000:03:00.0", "0000:03:00.0" },
        { "03:00.0", "0000:03:00.0" },
        { "3:1f.7", "0000:03:1f.7" },
        { "ABCD:fF:1F.7", "abcd:ff:1f.7" },
        { "10000:e1:00.0", "10000:e1:00.0" },
        { "" }, { "0" }, { ":" }, { "::." }, { "03:00" }, { "0000:03:00" },
        { "03:00.8" }, { "03:20.0" }, { "100:00.0" }, { "03:00.0 " },
        { " 03:00.0" }, { "03:00.00.0" }, { "0000:03:00.0/" }, { "03:-1.0" },
        { "../../x" }, { "g3:00.0" }, { "0x3:00.0" }, { "1:2:3:4.0" },
        { "123456789:03:00.0" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *bdf = probe_bdf_parse(cases[i].text);

        g_test_message("\"%s\"", cases[i].text);
        g_assert_cmpstr(bdf, ==, cases[i].bdf);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vfio/irq-probe/search/granted", test_granted);
    g_test_add_func("/vfio/irq-probe/search/none", test_none);
    g_test_add_func("/vfio/irq-probe/search/short-count", test_short_count);
    g_test_add_func("/vfio/irq-probe/search/taken", test_taken);
    g_test_add_func("/vfio/irq-probe/search/every-limit", test_every_limit);
    g_test_add_func("/vfio/irq-probe/search/nonsense", test_nonsense);
    g_test_add_func("/vfio/irq-probe/bdf", test_bdf);
    return g_test_run();
}
