/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzzer inputs for idxd-ims
 *
 * Most of the values that an action can name are ones that lead further:
 * registers that exist, handles that were given out, addresses that are
 * memory.  Each choice has a way out to the raw value.
 */
#include "qemu/osdep.h"
#include "../libqtest.h"
#include "qemu/bitops.h"
#include "qemu/bswap.h"
#include "hw/pci/pci_regs.h"
#include "idxd-ims-fuzz.h"

#define MAX_ACTIONS     256
#define MAX_ROUNDS      1000

/* Guest memory that the inputs use: lists, records, and data */
#define ARENA           0x400000
#define ARENA_SIZE      0x40000
#define LISTS           ARENA
#define RECORDS         (ARENA + 0x4000)
#define EVENT_LOG       (ARENA + 0x8000)
#define DATA            (ARENA + 0x10000)
#define LAPIC           0xfee00000
#define MMCONFIG        0xb0000000
#define PCIEXBAR        0x60

typedef struct Fuzz {
    QIdxd *d;
    const QIdxdFuzzHost *host;
    const uint8_t *next;        /* operands of the current action */
    const uint8_t *end;
    uint16_t handles[4];
    unsigned nr_handles;
    bool over;
} Fuzz;

static void run(Fuzz *f)
{
    f->host->run(f->host->opaque);
}

/* -- Operands */

static uint8_t take8(Fuzz *f)
{
    return f->next < f->end ? *f->next++ : 0;
}

static uint64_t take(Fuzz *f, unsigned bytes)
{
    uint64_t val = 0;

    for (unsigned i = 0; i < bytes; i++) {
        val |= (uint64_t)take8(f) << (i * 8);
    }
    return val;
}

static unsigned take_wq(Fuzz *f)
{
    return take8(f) % f->d->nr_wqs;
}

static uint16_t take_handle(Fuzz *f)
{
    uint8_t sel = take8(f);

    return sel < 0xf0 ? f->handles[sel % ARRAY_SIZE(f->handles)] : take(f, 2);
}

/*
 * A place for DMA: sel names the kind, the next bytes where in it.  Absent
 * operands give 0, which is what a field has to be that is not used.
 */
static uint64_t take_address(Fuzz *f)
{
    uint8_t sel = take8(f);
    uint64_t off = take(f, 2);

    switch (sel >> 4) {
    case 0x0:
        return off;
    case 0x1: case 0x2: case 0x3:
        return DATA + (off & ~63);
    case 0x4: case 0x5:
        return DATA + (sel & 1) * 0x8000 + off;
    case 0x6: case 0x7:
        return LISTS + off % (DATA - LISTS);
    case 0x8:
        return f->d->regs.addr + off % f->d->regs_size;
    case 0x9:
        return f->d->portals.addr + off % f->d->portals_size;
    case 0xa:
        return LAPIC + off % 0x1000;
    case 0xb:       /* the end of a window, there is nothing behind */
        return (1ull << (20 + (sel & 15) * 2)) - off;
    case 0xc:
        return -off;
    case 0xd:
        return f->d->messages + off % 0x1000;
    default:
        return off << (16 + (sel & 31));
    }
}

static uint32_t take_size(Fuzz *f)
{
    static const uint32_t sizes[] = {
        0, 1, 2, 3, 4, 7, 8, 16, 24, 31, 32, 33, 63, 64, 65, 80, 512, 4095,
        4096, 4097, 0xffff, 0x10000, 0x10001, 0x20000, 0x100000, 0x200000,
        0x200001, 0x4000000, 0x80000000, 0x80000001, 0xffffffff,
    };
    uint8_t sel = take8(f);

    return sel < 0x80 ? sizes[sel % ARRAY_SIZE(sizes)] : take(f, 1 + sel % 4);
}

/* A place in BAR0 */
static uint64_t take_register(Fuzz *f)
{
    static const uint16_t regs[] = {
        DSA_VERSION, DSA_GENCAP, DSA_WQCAP, DSA_GRPCAP, DSA_ENGCAP, DSA_OPCAP,
        DSA_OFFSETS, DSA_GENCFG, DSA_GENCTRL, DSA_GENSTS, DSA_INTCAUSE,
        DSA_CMD, DSA_CMDSTS, DSA_CMDCAP, DSA_SWERROR, DSA_SWERROR + 8,
        DSA_EVLCFG, DSA_EVLCFG + 8, DSA_EVLSTATUS, DSA_EVLSTATUS + 4,
    };
    QIdxd *d = f->d;
    uint8_t sel = take8(f);
    uint64_t off;

    if (sel < 0x80) {
        return regs[sel % ARRAY_SIZE(regs)];
    }
    off = take(f, 2);
    switch (sel >> 4) {
    case 0x8: case 0x9:
        return d->wqcfg + off % (d->nr_wqs * d->wqcfg_stride);
    case 0xa:
        return d->grpcfg + off % (d->nr_groups * DSA_GRPCFG_STRIDE);
    case 0xb:
        return d->msixperm + off % (d->nr_vectors * DSA_PERM_STRIDE);
    case 0xc:
        return d->ims + off % (d->nr_ims * DSA_IMS_STRIDE);
    case 0xd:
        return d->pci.msix_table_off +
               off % (d->nr_vectors * PCI_MSIX_ENTRY_SIZE);
    case 0xe:
        return d->pci.msix_pba_off + off % 64;
    default:
        return (off | (sel & 15) << 16) % d->regs_size;
    }
}

static void take_desc(Fuzz *f, QIdxdDesc *desc)
{
    static const uint8_t ops[] = {
        DSA_OP_NOP, DSA_OP_BATCH, DSA_OP_DRAIN, DSA_OP_MEMMOVE, DSA_OP_FILL,
        DSA_OP_COMPARE, DSA_OP_COMPARE_PATTERN, DSA_OP_CREATE_DELTA,
        DSA_OP_APPLY_DELTA, DSA_OP_DUALCAST, DSA_OP_CRC, DSA_OP_COPY_CRC,
        DSA_OP_CACHE_FLUSH,
    };
    uint8_t op = take8(f);
    uint8_t flags = take8(f);
    uint8_t record = take8(f);
    uint8_t more;

    desc->opcode = op < 0xe0 ? ops[op % ARRAY_SIZE(ops)] : op;
    desc->flags = flags ^ DSA_FLAG_RECORD;
    desc->record = record < 0xf0 ? RECORDS + record * DSA_RECORD_SIZE :
                   take_address(f);
    desc->handle = take_handle(f);
    desc->size = take_size(f);
    desc->src = take_address(f);
    desc->dst = take_address(f);
    more = take8(f);
    desc->flags |= (more & 0x7) << 16 | (more & 0x78) << 5;
    if (more & 0x80) {
        desc->flags |= take(f, 2) << 8;
        desc->reserved = take(f, 2);
    }
    desc->op[0] = take_address(f);
    desc->op[1] = take_address(f);
    desc->op[2] = take(f, 8);
    desc->pasid = take(f, 4);
}

/* -- Actions: registers */

static void act_write(Fuzz *f)
{
    uint64_t off = take_register(f);
    unsigned size = 1 << take8(f) % 4;
    uint8_t buf[8];

    stq_le_p(buf, take(f, 8));
    qpci_memwrite(&f->d->pci, f->d->regs, off, buf, size);
}

static void act_read(Fuzz *f)
{
    uint64_t off = take_register(f);
    uint8_t buf[8];

    qpci_memread(&f->d->pci, f->d->regs, off, buf, 1 << take8(f) % 4);
}

static uint32_t command(Fuzz *f, unsigned code, uint32_t operand)
{
    uint32_t status;

    qidxd_writel(f->d, DSA_CMD, code << 20 | operand);
    for (unsigned i = 0; i < 8; i++) {
        status = qidxd_readl(f->d, DSA_CMDSTS);
        if (!(status & DSA_CMDSTS_ACTIVE)) {
            break;
        }
        run(f);
    }
    return status;
}

/* Sent and left: what follows meets a device that may still be at it */
static void act_command(Fuzz *f)
{
    uint8_t code = take8(f);
    uint32_t operand = take(f, 3);

    qidxd_writel(f->d, DSA_CMD, (code & 0x1f) << 20 |
                 (uint32_t)(code & 0x80) << 24 | (operand & 0xfffff));
}

static void act_handle(Fuzz *f)
{
    bool ims = take8(f) & 1;
    unsigned index = take(f, 2) % (ims ? f->d->nr_ims : f->d->nr_vectors);
    uint32_t status = command(f, DSA_REQUEST_HANDLE,
                              index | (ims ? DSA_HANDLE_IMS : 0));

    f->handles[f->nr_handles++ % ARRAY_SIZE(f->handles)] = status >> 8;
}

static void act_release(Fuzz *f)
{
    uint32_t table = take8(f) & 1 ? DSA_HANDLE_IMS : 0;

    command(f, DSA_RELEASE_HANDLE, take_handle(f) | table);
}

static void act_wq(Fuzz *f)
{
    unsigned wq = take_wq(f);
    uint8_t bits = take8(f);
    QIdxdWq cfg = {
        .shared = bits & 1,
        .pasid_enable = bits & 2,
        .priv = bits & 4,
        .block = bits & 8,
        .size = take8(f),
        .pasid = take8(f),
    };

    qidxd_write_wq(f->d, wq, &cfg);
}

static void act_group(Fuzz *f)
{
    unsigned group = take8(f) % f->d->nr_groups;
    uint64_t wqs = take(f, 1);

    qidxd_write_group(f->d, group, wqs, take(f, 1));
}

/* The way that a driver takes; errors are as good as any other result */
static void act_bring_up(Fuzz *f)
{
    unsigned nr = MIN(1 + take8(f) % 4, f->d->nr_wqs);
    uint8_t bits = take8(f);
    QIdxdWq cfg = {
        .shared = bits & 1,
        .pasid_enable = bits & 2,
        .block = bits & 8,
        .size = bits & 4 ? 1 : 0,
        .pasid = take8(f),
    };

    if (bits & 0x10) {
        command(f, DSA_RESET_DEVICE, 0);
    }
    if (bits & 0x20) {
        qidxd_msix_on(f->d);
    }
    for (unsigned i = 0; i < nr; i++) {
        qidxd_write_wq(f->d, i, &cfg);
    }
    qidxd_write_group(f->d, 0, MAKE_64BIT_MASK(0, nr),
                      MAKE_64BIT_MASK(0, f->d->nr_engines));
    command(f, DSA_ENABLE_DEVICE, 0);
    for (unsigned i = 0; i < nr; i++) {
        command(f, DSA_ENABLE_WQ, i);
    }
}

static void act_event_log(Fuzz *f)
{
    uint8_t bits = take8(f);
    uint16_t size = take(f, 2) ?: 64;

    qidxd_writeq(f->d, DSA_EVLCFG, EVENT_LOG | (bits & 3));
    qidxd_writeq(f->d, DSA_EVLCFG + 8, size | take(f, 1) << 16);
    qidxd_writel(f->d, DSA_GENCTRL, bits >> 2 & 7);
    qidxd_writel(f->d, DSA_GENCFG, bits & 0x80 ? 0 : DSA_GENCFG_EVL);
}

/* -- Actions: interrupts */

static void act_permission(Fuzz *f)
{
    unsigned vector = take8(f) % f->d->nr_vectors;
    uint8_t bits = take8(f);

    qidxd_writel(f->d, qidxd_perm(f->d, vector), bits | take(f, 1) << 12);
}

static void act_ims_entry(Fuzz *f)
{
    uint64_t entry = qidxd_ims(f->d, take(f, 2) % f->d->nr_ims);
    uint8_t bits = take8(f);

    qidxd_writel(f->d, entry + DSA_IMS_CTRL, bits | take(f, 1) << 12);
    if (bits & 0x80) {
        qidxd_writeq(f->d, entry, take_address(f));
        qidxd_writel(f->d, entry + DSA_IMS_DATA, take(f, 4));
    }
}

static void act_msix_entry(Fuzz *f)
{
    unsigned vector = take8(f) % f->d->nr_vectors;
    uint64_t entry = qidxd_vector(f->d, vector);
    uint8_t bits = take8(f);

    qidxd_mask_vector(f->d, vector, bits & 1);
    if (bits & 0x80) {
        qidxd_writeq(f->d, entry, take_address(f));
        qidxd_writel(f->d, entry + PCI_MSIX_ENTRY_DATA, take(f, 4));
    }
}

static void act_msix(Fuzz *f)
{
    uint8_t cap = qpci_find_capability(&f->d->pci, PCI_CAP_ID_MSIX, 0);

    qpci_config_writew(&f->d->pci, cap + PCI_MSIX_FLAGS, take8(f) << 14);
}

static void act_revoke(Fuzz *f)
{
    uint8_t all = take8(f) & 1;
    g_autofree char *handle = g_strdup_printf("%u", take_handle(f));

    f->host->revoke(f->host->opaque, all ? "all" : handle);
}

/* -- Actions: work */

static void act_submit(Fuzz *f)
{
    uint8_t portal = take8(f);
    QIdxdDesc desc = {};

    take_desc(f, &desc);
    qidxd_submit(f->d, (portal & 0x3f) % f->d->nr_wqs, portal >> 6, &desc);
}

/* The same descriptor many times: fills queues */
static void act_flood(Fuzz *f)
{
    uint8_t portal = take8(f);
    unsigned count = take8(f);
    QIdxdDesc desc = {};

    take_desc(f, &desc);
    while (count--) {
        qidxd_submit(f->d, (portal & 0x3f) % f->d->nr_wqs, portal >> 6, &desc);
    }
}

static void act_list(Fuzz *f)
{
    uint64_t slot = LISTS + take8(f) * DSA_DESC_SIZE;
    QIdxdDesc desc = {};
    uint8_t raw[DSA_DESC_SIZE];

    take_desc(f, &desc);
    qidxd_pack(&desc, raw);
    qtest_memwrite(f->d->pci.bus->qts, slot, raw, sizeof(raw));
}

static void act_batch(Fuzz *f)
{
    uint8_t portal = take8(f);
    QIdxdDesc desc = { .opcode = DSA_OP_BATCH };

    desc.flags = take8(f) ^ DSA_FLAG_RECORD;
    desc.record = RECORDS + take8(f) * DSA_RECORD_SIZE;
    desc.handle = take_handle(f);
    desc.src = LISTS + take8(f) * DSA_DESC_SIZE;
    desc.size = take8(f);
    qidxd_submit(f->d, (portal & 0x3f) % f->d->nr_wqs, portal >> 6, &desc);
}

/* Raw bytes into a portal, in stores of one size */
static void act_portal_write(Fuzz *f)
{
    uint64_t off = take_wq(f) * 0x4000;
    unsigned size = 1 << take8(f) % 5;

    off += take(f, 2) % 0x4000;
    for (unsigned n = 0; f->next + size <= f->end && n < 64; n += size) {
        qpci_memwrite(&f->d->pci, f->d->portals, off + n, f->next, size);
        f->next += size;
    }
}

static void act_portal_read(Fuzz *f)
{
    uint64_t off = take(f, 3) % f->d->portals_size;
    uint8_t buf[8];

    qpci_memread(&f->d->pci, f->d->portals, off, buf, 1 << take8(f) % 4);
}

static void act_memory(Fuzz *f)
{
    uint64_t addr = ARENA + take(f, 3) % (ARENA_SIZE - 256);
    size_t len = MIN(f->end - f->next, 256);

    if (len) {
        qtest_memwrite(f->d->pci.bus->qts, addr, f->next, len);
    }
}

/* -- Actions: the machine */

static void act_run(Fuzz *f)
{
    for (unsigned n = take8(f) % 8; n; n--) {
        run(f);
    }
}

static void act_clock(Fuzz *f)
{
    qtest_clock_step_next(f->d->pci.bus->qts);
}

static void act_pci_command(Fuzz *f)
{
    qpci_config_writew(&f->d->pci, PCI_COMMAND, take(f, 2));
}

static void act_pci_config(Fuzz *f)
{
    uint64_t addr = MMCONFIG + f->d->pci.devfn * 0x1000 + take(f, 2) % 0x1000;
    unsigned size = 1 << take8(f) % 3;
    uint8_t buf[4];

    stl_le_p(buf, take(f, 4));
    qtest_memwrite(f->d->pci.bus->qts, addr, buf, size);
}

static void act_flr(Fuzz *f)
{
    uint8_t cap = qpci_find_capability(&f->d->pci, PCI_CAP_ID_EXP, 0);
    uint16_t ctl = qpci_config_readw(&f->d->pci, cap + PCI_EXP_DEVCTL);

    qpci_config_writew(&f->d->pci, cap + PCI_EXP_DEVCTL,
                       ctl | PCI_EXP_DEVCTL_BCR_FLR);
}

static void act_migrate(Fuzz *f)
{
    if (f->host->migrate) {
        f->over = !f->host->migrate(f->host->opaque, f->next,
                                    f->end - f->next);
    }
}

static void (*const actions[])(Fuzz *f) = {
    act_write, act_read, act_command, act_handle, act_release, act_wq,
    act_group, act_bring_up, act_event_log, act_permission, act_ims_entry,
    act_msix_entry, act_msix, act_revoke, act_submit, act_flood, act_list,
    act_batch, act_portal_write, act_portal_read, act_memory, act_run,
    act_clock, act_pci_command, act_pci_config, act_flr, act_migrate,
};

/* -- An input */

void qidxd_fuzz_map(QIdxd *d)
{
    /* The same addresses each time */
    d->pci.bus->mmio_alloc_ptr = MIN(d->regs.addr, d->portals.addr);
    d->regs = qpci_iomap(&d->pci, 0, NULL);
    d->portals = qpci_iomap(&d->pci, 2, NULL);
    qpci_device_enable(&d->pci);
}

/* Through the host bridge of q35 */
void qidxd_fuzz_map_config(QIdxd *d)
{
    d->pci.bus->config_writel(d->pci.bus, 0, PCIEXBAR, MMCONFIG | 1);
}

static void reset(Fuzz *f)
{
    f->host->reset(f->host->opaque);
    f->host->clear(f->host->opaque, ARENA, ARENA_SIZE);
    f->host->clear(f->host->opaque, f->d->messages, 0x1000);
}

static void must_succeed(Fuzz *f, unsigned code, uint32_t operand)
{
    uint32_t status;

    qidxd_writel(f->d, DSA_CMD, code << 20 | operand);
    for (unsigned i = 0; i < MAX_ROUNDS; i++) {
        status = qidxd_readl(f->d, DSA_CMDSTS);
        if (!(status & DSA_CMDSTS_ACTIVE)) {
            break;
        }
        run(f);
    }
    g_assert_cmphex(status, ==, 0);
}

static void nop_completes(Fuzz *f)
{
    QIdxdDesc desc = {
        .opcode = DSA_OP_NOP,
        .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI,
        .record = RECORDS,
    };
    QIdxdRecord rec = {};
    uint32_t status = command(f, DSA_REQUEST_HANDLE, 1);

    g_assert_cmphex(status & 0xff, ==, 0);
    desc.handle = status >> 8;
    qidxd_submit(f->d, 0, DSA_PORTAL_LIMITED, &desc);
    for (unsigned i = 0; i < MAX_ROUNDS && !rec.status; i++) {
        run(f);
        qidxd_read_record(f->d, RECORDS, &rec);
    }
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
}

static void check_device_works(Fuzz *f)
{
    static const QIdxdWq plain;
    uint8_t message[4] = {};

    g_assert_cmphex(qidxd_readl(f->d, DSA_GENSTS), ==, DSA_STATE_DISABLED);
    g_assert_cmphex(qidxd_readl(f->d, DSA_INTCAUSE), ==, 0);
    g_assert_cmphex(qidxd_readl(f->d, DSA_CMDSTS), ==, 0);
    g_assert_cmphex(qidxd_readq(f->d, DSA_SWERROR), ==, 0);
    qidxd_msix_on(f->d);
    qidxd_write_wq(f->d, 0, &plain);
    qidxd_write_group(f->d, 0, 1, 1);
    must_succeed(f, DSA_ENABLE_DEVICE, 0);
    must_succeed(f, DSA_ENABLE_WQ, 0);
    nop_completes(f);
    for (unsigned i = 0; i < MAX_ROUNDS && !ldl_le_p(message); i++) {
        run(f);
        qtest_memread(f->d->pci.bus->qts, f->d->messages + 4, message, 4);
    }
    g_assert_cmphex(ldl_le_p(message), ==, qidxd_message_data(1));
}

static void run_actions(Fuzz *f, const uint8_t *data, size_t size)
{
    const uint8_t *end = data + size;

    for (unsigned i = 0; i < MAX_ACTIONS && data < end && !f->over; i++) {
        f->next = data;
        f->end = memchr(data, QIDXD_FUZZ_END, end - data) ?: end;
        data = f->end + 1;
        actions[take8(f) % ARRAY_SIZE(actions)](f);
        run(f);
    }
}

void qidxd_fuzz_run(QIdxd *d, const QIdxdFuzzHost *host, const uint8_t *data,
                    size_t size)
{
    Fuzz f = { .d = d, .host = host };

    reset(&f);
    run_actions(&f, data, size);
    reset(&f);
    check_device_works(&f);
}
