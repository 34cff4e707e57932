/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine under KVM whose guest counts the interrupts of assigned devices.
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qemu/atomic.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "vfio-irq-kvm.h"
#include "vfio-irq-remap.h"

/* Only used up where the test fails */
#define WAIT_SECONDS 10

/* The rate at which to ask QEMU how far it is */
#define POLL_US 2000

/* More than any host is slow, and what a guest waits that leaves some out */
#define LONG_HOLD_MS 300000

#define COMMIT_EVENT "kvm_irqchip_commit_routes"

/* The machine */

static char *device_options(VFIOUserServer **servers, unsigned n,
                            const char *policy)
{
    GString *options = g_string_new(NULL);

    for (unsigned i = 0; i < n; i++) {
        g_autofree char *device = vfio_msix_device_arg(servers[i],
                                                       VFIO_MSIX_SLOT + i,
                                                       policy);

        g_string_append_printf(options, " -device '%s'", device);
    }
    return g_string_free(options, false);
}

static char *new_log(void)
{
    char *path = NULL;
    int fd = g_file_open_tmp("vfio-irq-kvm-log-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    return path;
}

/* Also from a test that ends because QEMU has died */
static void remove_log(void *opaque)
{
    VFIOIrqKvm *k = opaque;

    unlink(k->log);
}

/* Without KVM it falls back to no CPU at all, so that the test can say so */
static char *machine_options(VFIOIrqKvm *k, const char *bios)
{
    bool q35 = k->iommu || k->remap;

    return g_strdup_printf(
        "-nodefaults -accel kvm -accel qtest "
        "-cpu qemu64,+x2apic,check=off -smp %u "
        "-machine %s,memory-backend=ram -m 32M -bios %s "
        "-object memory-backend-memfd,id=ram,size=32M,share=on "
        "-d guest_errors,trace:" COMMIT_EVENT " -D %s%s%s %s", k->cpus,
        q35 ? "q35,kernel-irqchip=split" : "pc", bios, k->log,
        q35 ? " -device intel-iommu,intremap=on,caching-mode=on" : "",
        k->long_hold ? " -global vfio-user-pci.x-msix-rewrite-ms="
                       stringify(LONG_HOLD_MS) : "", k->options ?: "");
}

unsigned vfio_irq_kvm_start(VFIOIrqKvm *k, VFIOUserServer **servers,
                            unsigned n, const char *policy)
{
    g_autofree char *bios = vfio_irq_guest_write_firmware();
    g_autofree char *devices = device_options(servers, n, policy);
    g_autofree char *machine = NULL;
    g_autofree char *args = NULL;

    k->log = new_log();
    qtest_add_abrt_handler(remove_log, k);
    machine = machine_options(k, bios);
    /* a shell starts it */
    args = g_strconcat(machine, devices, k->log_errors ? " 2>>" : NULL, k->log,
                       NULL);
    k->qts = qtest_init_ext(k->binary_var, args, NULL, true);
    unlink(bios);
    k->memory = vfio_user_server_map_guest(servers[0], VFIO_IRQ_GUEST_BASE,
                                           VFIO_IRQ_GUEST_SIZE);
    g_assert_nonnull(k->memory);
    k->guest = vfio_irq_guest_new(k->qts, k->memory, k->cpus);
    if (!vfio_irq_kvm_accel(k)) {
        return 0;
    }
    return vfio_irq_guest_wait_alive(k->guest);
}

void vfio_irq_kvm_stop(VFIOIrqKvm *k)
{
    qtest_quit(k->qts);
    vfio_irq_guest_free(k->guest);
    munmap(k->memory, VFIO_IRQ_GUEST_SIZE);
    qtest_remove_abrt_handler(k);
    remove_log(k);
    g_free(k->log);
}

bool vfio_irq_kvm_accel(VFIOIrqKvm *k)
{
    QDict *rsp = qtest_qmp_assert_success_ref(k->qts,
                                              "{ 'execute': 'query-kvm' }");
    bool enabled = qdict_get_bool(rsp, "enabled");

    qobject_unref(rsp);
    return enabled;
}

unsigned vfio_irq_kvm_take(VFIOIrqKvm *k, unsigned cpu, unsigned number)
{
    uint32_t now = vfio_irq_guest_count(k->guest, cpu, number);
    unsigned n = now - k->seen[cpu][number];

    k->seen[cpu][number] = now;
    return n;
}

static unsigned arrived(const VFIOIrqKvm *k)
{
    unsigned n = 0;

    for (unsigned cpu = 0; cpu < k->cpus; cpu++) {
        for (unsigned number = VFIO_IRQ_GUEST_FIRST;
             number <= VFIO_IRQ_GUEST_LAST; number++) {
            n += vfio_irq_guest_count(k->guest, cpu, number) -
                 k->seen[cpu][number];
        }
    }
    return n;
}

void vfio_irq_kvm_wait_arrived(VFIOIrqKvm *k, unsigned n)
{
    int64_t end = g_get_monotonic_time() + WAIT_SECONDS * G_USEC_PER_SEC;

    do {
        vfio_msix_flush_main_loop(k->qts);
        vfio_irq_guest_barrier(k->guest);
    } while (arrived(k) < n && g_get_monotonic_time() < end);
}

unsigned vfio_irq_kvm_logged(VFIOIrqKvm *k, const char *text)
{
    g_autofree char *log = NULL;
    unsigned n = 0;

    g_assert_true(g_file_get_contents(k->log, &log, NULL, NULL));
    for (const char *p = log; (p = strstr(p, text)); p += strlen(text)) {
        n++;
    }
    return n;
}

unsigned vfio_irq_kvm_commits(VFIOIrqKvm *k)
{
    return vfio_irq_kvm_logged(k, COMMIT_EVENT);
}

/* What QEMU says about the vectors of a device */

static void add_state(VFIOIrqKvmStates *states, const QDict *vector)
{
    states->n++;
    states->irqfd += g_str_equal(qdict_get_str(vector, "path"), "irqfd");
    states->settling += qdict_get_bool(vector, "is-settling");
    states->pending += qdict_get_bool(vector, "is-pending");
    states->unmasked += !qdict_get_bool(vector, "is-masked");
}

VFIOIrqKvmStates vfio_irq_kvm_states(VFIOIrqKvm *k, unsigned slot)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/vfio%u", slot);
    QDict *rsp = qtest_qmp(k->qts, "{ 'execute': 'qom-get', 'arguments': "
                           "{ 'path': %s, 'property': 'x-irq-vectors' } }",
                           path);
    QList *list = qdict_get_qlist(rsp, "return");
    VFIOIrqKvmStates states = { 0 };
    QListEntry *e;

    k->has_states = list;
    if (list) {
        QLIST_FOREACH_ENTRY(list, e) {
            add_state(&states, qobject_to(QDict, qlist_entry_obj(e)));
        }
    }
    qobject_unref(rsp);
    return states;
}

VFIOIrqKvmStates vfio_irq_kvm_wait_settled(VFIOIrqKvm *k, unsigned slot,
                                           unsigned irqfd)
{
    int64_t end = g_get_monotonic_time() + WAIT_SECONDS * G_USEC_PER_SEC;
    VFIOIrqKvmStates states = vfio_irq_kvm_states(k, slot);

    while (k->has_states && (states.settling || states.irqfd < irqfd) &&
           g_get_monotonic_time() < end) {
        g_usleep(POLL_US);
        states = vfio_irq_kvm_states(k, slot);
    }
    g_assert_cmpuint(states.settling, ==, 0);
    if (k->has_states) {
        g_assert_cmpuint(states.irqfd, >=, irqfd);
    }
    return states;
}

/* The machine of a model */

/*
 * Two APIC vectors on each CPU for each vector, where they suffice; else one
 * on one CPU.
 */
void vfio_irq_kvm_target(const VFIOMsixModel *m, unsigned v, unsigned place,
                         unsigned *cpu, unsigned *number)
{
    const VFIOIrqKvm *k = m->opaque;

    if (m->places == 1) {
        *cpu = v % k->cpus;
        *number = VFIO_IRQ_GUEST_FIRST + v / k->cpus;
    } else {
        *cpu = place % k->cpus;
        *number = VFIO_IRQ_GUEST_FIRST + 2 * v + place / k->cpus;
    }
    g_assert_cmpuint(*number, <=, VFIO_IRQ_GUEST_LAST);
}

unsigned vfio_irq_kvm_handle(const VFIOMsixModel *m, unsigned v,
                             unsigned place)
{
    return v * m->places + place;
}

/* Each place of a vector has a handle of its own */
static void set_up_remapping(VFIOMsixModel *m)
{
    VFIOIrqKvm *k = m->opaque;
    unsigned cpu, number;

    vfio_irq_remap_enable(k->qts);
    for (unsigned v = 0; v < m->n; v++) {
        for (unsigned place = 0; place < m->places; place++) {
            vfio_irq_kvm_target(m, v, place, &cpu, &number);
            vfio_irq_remap_set(k->qts, vfio_irq_kvm_handle(m, v, place), cpu,
                               number);
        }
    }
}

static void kvm_machine_start(VFIOMsixModel *m, const VFIOMsixModelConfig *cfg)
{
    VFIOIrqKvm *k = m->opaque;

    m->places = m->n <= VFIO_IRQ_KVM_MOVABLE ? 2 * k->cpus : 1;
    k->binary_var = cfg->binary_var;
    g_assert_cmpuint(vfio_irq_kvm_start(k, &m->server, 1, cfg->policy), ==,
                     k->cpus);
    m->qts = k->qts;
    if (k->remap) {
        set_up_remapping(m);
    }
}

static void kvm_machine_reset(VFIOMsixModel *m)
{
    VFIOIrqKvm *k = m->opaque;

    g_assert_cmpuint(vfio_irq_guest_wait_alive(k->guest), ==, k->cpus);
    if (k->remap) {
        set_up_remapping(m);
    }
}

static void kvm_machine_stop(VFIOMsixModel *m)
{
    VFIOIrqKvm *k = m->opaque;

    g_assert_cmpuint(vfio_irq_guest_strays(k->guest), ==, 0);
    vfio_irq_kvm_stop(k);
}

static VFIOMsixMessage kvm_machine_message(VFIOMsixModel *m, unsigned v,
                                           unsigned place)
{
    const VFIOIrqKvm *k = m->opaque;
    unsigned cpu, number;

    if (k->remap) {
        return (VFIOMsixMessage) {
            .address = vfio_irq_remap_address(
                vfio_irq_kvm_handle(m, v, place)),
        };
    }
    vfio_irq_kvm_target(m, v, place, &cpu, &number);
    return (VFIOMsixMessage) {
        .address = vfio_irq_guest_address(cpu), .data = number,
    };
}

static unsigned kvm_machine_take(VFIOMsixModel *m, unsigned v, unsigned place,
                                 uint32_t *data)
{
    unsigned cpu, number;

    *data = kvm_machine_message(m, v, place).data;
    vfio_irq_kvm_target(m, v, place, &cpu, &number);
    return vfio_irq_kvm_take(m->opaque, cpu, number);
}

static void kvm_machine_flush(VFIOMsixModel *m)
{
    VFIOIrqKvm *k = m->opaque;

    qatomic_set(&m->flushing, true);
    g_mutex_lock(&m->firing);
    vfio_msix_flush_main_loop(m->qts);
    vfio_irq_guest_barrier(k->guest);
    g_mutex_unlock(&m->firing);
    qatomic_set(&m->flushing, false);
}

static unsigned count_unmasked(const VFIOMsixModel *m)
{
    unsigned n = 0;

    for (unsigned v = 0; v < m->n; v++) {
        n += vfio_msix_model_unmasked(m, v);
    }
    return n;
}

/* For QEMU an entry is masked while its message is held back */
static void kvm_machine_release(VFIOMsixModel *m)
{
    VFIOIrqKvm *k = m->opaque;
    int64_t end = g_get_monotonic_time() + WAIT_SECONDS * G_USEC_PER_SEC;
    VFIOIrqKvmStates states = vfio_irq_kvm_states(k, VFIO_MSIX_SLOT);

    while (k->has_states && states.unmasked < count_unmasked(m)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(POLL_US);
        states = vfio_irq_kvm_states(k, VFIO_MSIX_SLOT);
    }
}

/* The old flow holds nothing back, and is wrong without any tearing */
static bool kvm_machine_may_tear(const VFIOMsixModel *m, const char *order,
                                 unsigned changes)
{
    VFIOIrqKvm *k = m->opaque;

    if (k->long_hold) {
        return strlen(order) < 3 || order[2] != 'd';
    }
    return !k->binary_var && changes > 1;
}

/* What is unmasked is KVM's then; what the host does not serve need not be */
static void kvm_machine_rest(VFIOMsixModel *m)
{
    VFIOIrqKvm *k = m->opaque;
    unsigned served = 0;

    for (unsigned v = 0; v < m->n; v++) {
        served += vfio_msix_model_unmasked(m, v) && !m->entry[v].starved;
    }
    vfio_irq_kvm_wait_settled(k, VFIO_MSIX_SLOT, served);
}

const VFIOMsixMachine vfio_irq_kvm_machine = {
    .start = kvm_machine_start,
    .stop = kvm_machine_stop,
    .message = kvm_machine_message,
    .take = kvm_machine_take,
    .flush = kvm_machine_flush,
    .served_by_kernel = true,
    .reset = kvm_machine_reset,
    .release = kvm_machine_release,
    .may_tear = kvm_machine_may_tear,
    .rest = kvm_machine_rest,
};
