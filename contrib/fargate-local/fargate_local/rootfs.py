# The root directories containers see: static busybox by default, the host's for image "host",
# dash or bash with busybox's applets for images such as "dash-no-gzip".
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import re
import shutil
import subprocess

from . import sandboxing as sb

PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:{uid}:{uid}:nobody:/tmp:/bin/sh\n"
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# dash or bash is /bin/sh and finds its tools on PATH, where busybox prefers its own applets; each
# -no-NAME leaves out one of them.
VARIANT = re.compile(r"(dash|bash)((?:-no-[a-z0-9_]+)*)")
MOUNT_FLAGS = {"ro": sb.MS_RDONLY, "noexec": sb.MS_NOEXEC, "nosuid": sb.MS_NOSUID, "nodev": sb.MS_NODEV}
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
         "stderr": "/proc/self/fd/2"}


def build(state_dir, busybox, uid):
    """Fills state_dir/template once: bin with every applet, etc. The zygote binds the devices."""
    template = os.path.join(state_dir, "template")
    for name in ("bin", "dev", "etc"):
        os.makedirs(os.path.join(template, name), exist_ok=True)
    os.makedirs(os.path.join(state_dir, "mnt"), exist_ok=True)
    os.chmod(state_dir, 0o711)
    bin_dir = os.path.join(template, "bin")
    target = os.path.join(bin_dir, "busybox")
    with open(busybox, "rb") as source, open(target, "wb") as copy:
        copy.write(source.read())
    os.chmod(target, 0o755)
    applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True)
    for applet in applets.stdout.split():
        if applet != "busybox":
            os.symlink("busybox", os.path.join(bin_dir, applet))
    with open(os.path.join(template, "etc", "passwd"), "w", encoding="ascii") as f:
        f.write(PASSWD.format(uid=uid))
    with open(os.path.join(template, "etc", "group"), "w", encoding="ascii") as f:
        f.write(f"root:x:0:\nnogroup:x:{uid}:\n")
    with open(os.path.join(template, "etc", "hosts"), "w", encoding="ascii") as f:
        f.write("127.0.0.1 localhost\n")
    if os.path.exists("/etc/resolv.conf"):
        shutil.copyfile("/etc/resolv.conf", os.path.join(template, "etc", "resolv.conf"))


def bind_devices(state_dir):
    """In the zygote's own mount namespace, so that nothing is left on the host."""
    dev = os.path.join(state_dir, "template", "dev")
    for name in DEVICES:
        path = os.path.join(dev, name)
        with open(path, "wb"):
            pass
        sb.mount("/dev/" + name, path, "", sb.MS_BIND)
    for name, link in LINKS.items():
        os.symlink(link, os.path.join(dev, name))
    os.mkdir(os.path.join(dev, "shm"))


def unbind_devices(state_dir):
    """The reverse, without which the directory cannot be removed from that namespace."""
    for name in DEVICES:
        try:
            sb.umount(os.path.join(state_dir, "template", "dev", name))
        except OSError:         # the self-test failed before it was bound
            pass


def prepare(state_dir, image):
    """Fills state_dir/images/NAME for an image that is a variant and has not been asked for yet."""
    variant, top = VARIANT.fullmatch(image), os.path.join(state_dir, "images", image)
    if variant is None or os.path.exists(top):
        return
    shell, without = shutil.which(variant[1]), variant[2].split("-no-")
    if shell is None:
        raise OSError(f"image {image}: there is no {variant[1]} on this machine")
    source, target = os.path.join(state_dir, "template", "bin"), os.path.join(top, "bin")
    os.makedirs(target)
    for name in {*os.listdir(source), variant[1]} - {*without, "sh"}:
        if name == "busybox":
            os.link(os.path.join(source, name), os.path.join(target, name))
        elif name == variant[1]:
            shutil.copy(shell, os.path.join(target, name))
        else:
            os.symlink("busybox", os.path.join(target, name))
    if "sh" not in without:
        os.symlink(variant[1], os.path.join(target, "sh"))
    listed = subprocess.run(["ldd", shell], check=True, capture_output=True, text=True).stdout
    for library in re.findall(r"(/\S+) \(0x", listed):
        os.makedirs(os.path.dirname(top + library), exist_ok=True)
        shutil.copy(library, top + library)


def _tmpfs(path, mode, flags=sb.MS_NOSUID | sb.MS_NODEV, size=None):
    sb.mount("tmpfs", path, "tmpfs", flags, f"mode={mode}" + (f",size={size}m" if size else ""))


def _wanted_tmpfs(root, wanted):
    """The definition's linuxParameters.tmpfs; options that are no mount flags change nothing here."""
    for mount in wanted:
        path = root + mount["containerPath"]
        os.makedirs(path, exist_ok=True)
        flags = 0
        for option in mount.get("mountOptions", ()):
            flags |= MOUNT_FLAGS.get(option, 0)
        _tmpfs(path, "1777", flags, mount["size"])


def _proc(path):
    sb.mount("proc", path, "proc", sb.MS_NOSUID | sb.MS_NODEV | sb.MS_NOEXEC)


def enter(state_dir, order):
    """In a new mount namespace: the root that the order's image, read_only and tmpfs ask for."""
    if order["image"] == "host":
        _enter_host(order)
    else:
        _enter_built(state_dir, order)


def _enter_host(order):
    """The host's own tools, with a private /tmp and this PID namespace's /proc."""
    _proc("/proc")
    _tmpfs("/tmp", "755" if order["read_only"] else "1777")
    _tmpfs("/dev/shm", "1777")
    _wanted_tmpfs("", order["tmpfs"])
    if order["read_only"]:
        sb.mount("", "/", "", sb.MS_REMOUNT | sb.MS_BIND | sb.MS_RDONLY)


def _enter_built(state_dir, order):
    root, template = os.path.join(state_dir, "mnt"), os.path.join(state_dir, "template")
    image = os.path.join(state_dir, "images", order["image"])
    if VARIANT.fullmatch(order["image"]) is None:
        image = template
    _tmpfs(root, "755")
    os.umask(0)
    for name, mode in (("bin", 0o755), ("dev", 0o755), ("etc", 0o755), ("proc", 0o755),
                       ("tmp", 0o1777), ("usr", 0o755), ("var", 0o755), ("root", 0o700)):
        os.mkdir(os.path.join(root, name))
        os.chmod(os.path.join(root, name), mode)
    os.symlink("../bin", os.path.join(root, "usr", "bin"))
    os.symlink("bin", os.path.join(root, "sbin"))
    os.symlink("../tmp", os.path.join(root, "var", "tmp"))
    sb.mount(os.path.join(template, "etc"), os.path.join(root, "etc"), "", sb.MS_BIND)
    for name in {*os.listdir(image)} & {"bin", "lib", "lib32", "lib64"}:
        os.makedirs(os.path.join(root, name), exist_ok=True)
        sb.mount(os.path.join(image, name), os.path.join(root, name), "", sb.MS_BIND)
    sb.mount(os.path.join(template, "dev"), os.path.join(root, "dev"), "", sb.MS_BIND | sb.MS_REC)
    _tmpfs(os.path.join(root, "dev", "shm"), "1777")
    _proc(os.path.join(root, "proc"))
    _wanted_tmpfs(root, order["tmpfs"])
    os.umask(0o022)
    if order["read_only"]:
        sb.mount("", root, "", sb.MS_REMOUNT | sb.MS_BIND | sb.MS_RDONLY)
    sb.pivot_root(root)
