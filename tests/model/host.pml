/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device and host kernel.  Each step is one that the others can see:
 * one step of a system call, one interrupt, one write to the device.
 */

/*
 * The device
 */

typedef Entry {
    bool masked = true;     /* in hardware: not requested by the host, or being re-armed */
    bool pending            /* its bit in the PBA */
}
Entry device_entry[N];
bool device_msix = true;    /* MSI-X Enable, as the host has set it */

/* Set where the device sends to, the local APIC of a host CPU */
bool in_irr[N];

inline device_unmask(nr)
{
    d_step {
        device_entry[nr].masked = false;
        if
        :: device_entry[nr].pending ->
            device_entry[nr].pending = false;
            in_irr[nr] = true
        :: else
        fi
    }
}

/*
 * KVM: routes and irqfds.  The irqfd of vector v listens to eventfd v.
 */

#define NO_ROUTE 255
#define IDLE 254

typedef Irqfd {
    bool assigned;
    bool queued;            /* the work item is scheduled ... */
    byte work = IDLE;       /* ... or runs, with the route that it has looked up */
    byte route = NO_ROUTE
}
Irqfd irqfd[N];

bool counter[2 * N];        /* eventfds: readable or not */

/* The VM whose irqfds these are has handed its state on: what it gets is lost */
bool vm_is_gone;

/* In an atomic context */
inline inject(nr, msg)
{
    if
    :: msg == NO_ROUTE || vm_is_gone -> printf("> KVM swallows an event of %d\n", nr)
    :: else -> deliver(nr, msg)
    fi
}

inline eventfd_signal(fd)
{
    if
    :: fd < N && irqfd[fd].assigned ->
        /* The wake-up callback reads the counter to zero */
        counter[fd] = false;
        if
        :: irqfd[fd].route != NO_ROUTE -> inject(fd, irqfd[fd].route)
#ifndef CPU_ONLY
        :: irqfd[fd].queued = true
#endif
        fi
    :: else -> counter[fd] = true
    fi
}

proctype irqfd_work(byte v)
{
end:
    do
    :: d_step { irqfd[v].queued && irqfd[v].work == IDLE ->
           irqfd[v].queued = false;
           irqfd[v].work = irqfd[v].route }
       d_step {
           inject(v, irqfd[v].work);
           irqfd[v].work = IDLE }
    od
}

/* Can fail, then nothing has changed; an eventfd that is readable is injected but not read */
inline kvm_irqfd_assign(nr)
{
    d_step {
        printf("> KVM_IRQFD assign %d\n", nr);
        irqfd[nr].assigned = true;
        irqfd[nr].queued = irqfd[nr].queued || counter[nr]
    }
}

/* Removal from the wait queue reads the counter; what was read before is still injected */
inline kvm_irqfd_deassign(nr)
{
    d_step {
        printf("> KVM_IRQFD deassign %d\n", nr);
        irqfd[nr].assigned = false;
        counter[nr] = false
    }
    (!irqfd[nr].queued && irqfd[nr].work == IDLE)
}

/*
 * VFIO: SET_IRQS for vectors of the index
 */

#define NO_FD 255

mtype = { RELEASED, CLOSING, ACTIVE };

typedef HostVector {
    mtype state = RELEASED;
    byte trigger = NO_FD;   /* the eventfd that it is armed with */
    bool resend             /* the core has seen an edge without handler */
}
HostVector host_vector[N];

proctype host_cpu(byte v)
{
end:
    do
    :: atomic { in_irr[v] ->
           in_irr[v] = false;
           if
           :: host_vector[v].state == ACTIVE ->
               printf("> host CPU signals eventfd %d\n", host_vector[v].trigger);
               eventfd_signal(host_vector[v].trigger)
           :: host_vector[v].state == CLOSING ->
               host_vector[v].resend = true
           :: else
           fi }
    od
}

/* free_irq: an edge that no CPU has served when the vector is given up is gone */
inline free_irq(nr)
{
    device_entry[nr].masked = true;
    host_vector[nr].state = CLOSING;
    d_step {
        if
        :: in_irr[nr] -> printf("> vector %d released, an edge in the IRR is dropped\n", nr)
        :: else
        fi;
        in_irr[nr] = false;
        host_vector[nr].state = RELEASED;
        host_vector[nr].trigger = NO_FD
    }
}

inline request_irq(nr, fd)
{
    d_step {
        host_vector[nr].state = ACTIVE;
        host_vector[nr].trigger = fd;
        in_irr[nr] = in_irr[nr] || host_vector[nr].resend;
        host_vector[nr].resend = false
    }
    device_unmask(nr)
}

inline set_irqs_arm(nr, fd)
{
    printf("> SET_IRQS: arm %d with eventfd %d\n", nr, fd);
    if
    :: host_vector[nr].state == ACTIVE -> free_irq(nr)
    :: else
    fi;
    request_irq(nr, fd)
}

/* The index goes: all vectors, then MSI-X Enable.  The device forgets what was pending. */
inline set_irqs_disable(i)
{
    printf("> SET_IRQS: disable\n");
    i = 0;
    do
    :: i < N ->
        if
        :: host_vector[i].state == ACTIVE -> free_irq(i)
        :: else
        fi;
        i++
    :: else -> break
    od;
    atomic {
        device_msix = false;
        for (i : 0 .. N - 1) {
            device_entry[i].pending = false;
            host_vector[i].resend = false
        }
        i = 0
    }
}

/* All vectors allocated, none requested: their entries are masked */
inline set_irqs_enable(count)
{
    printf("> SET_IRQS: enable %d\n", count);
    device_msix = true
}
