import { SETTINGS_LINE } from '../../src/signing/efi/stage0-image.ts';

/** What goes into the userland that stage-0 and the demo OS share. Paths are Debian's, below the root. */

/** Programs; the libraries they need follow from them. */
export const PROGRAMS = [
  'usr/bin/busybox',
  'usr/bin/curl',
  'usr/bin/jq',
  'usr/bin/openssl',
  'usr/bin/tpm2',
  'usr/sbin/kexec',
] as const;

/** Opened by name at run time, so no program names them. */
export const RUNTIME_LIBRARIES = ['libtss2-tcti-device.so.0'] as const;

/** busybox applets that talk to the network without checking certificates, or serve it. */
export const UNWANTED_APPLETS: readonly string[] = [
  ...['wget', 'ssl_client', 'ftpget', 'ftpput', 'tftp', 'telnet', 'nc', 'httpd', 'udhcpd', 'rdate'],
  // what other packages do better, or what has no use in a machine without disk
  ...['rpm', 'rpm2cpio', 'mke2fs', 'mkdosfs', 'mkswap', 'fdisk', 'login', 'busybox'],
];

/**
 * Libraries that Debian's builds link for features that a boot never uses, and that would bring megabytes
 * of others (Kerberos, LDAP, GnuTLS, Xen). Each is replaced by one of the same name and symbols whose
 * functions do nothing but return `result`. What they are for: `tpm2 getekcertificate` (an HTTP client of
 * its own), `curl` with ldap://, rtmp:// and --negotiate, `kexec` in a Xen domain 0.
 */
export interface AbsentLibrary {
  soname: string;
  neededBy: string;
  symbols: RegExp;
  result: 0 | -1;
}

export const ABSENT_LIBRARIES: readonly AbsentLibrary[] = [
  { soname: 'libcurl-gnutls.so.4', neededBy: 'usr/bin/tpm2', symbols: /^curl_/, result: 0 },
  { soname: 'libldap-2.5.so.0', neededBy: 'libcurl.so.4', symbols: /^ldap_/, result: -1 },
  { soname: 'liblber-2.5.so.0', neededBy: 'libcurl.so.4', symbols: /^ber_/, result: 0 },
  { soname: 'librtmp.so.1', neededBy: 'libcurl.so.4', symbols: /^RTMP_/, result: 0 },
  { soname: 'libgssapi_krb5.so.2', neededBy: 'libcurl.so.4', symbols: /^(?:gss|GSS)_/, result: -1 },
  { soname: 'libxenctrl.so.4.17', neededBy: 'usr/sbin/kexec', symbols: /^xc_/, result: 0 },
];

/** Kernel modules, loaded by the hardware's aliases or by name; what they depend on follows. */
export const KERNEL_MODULES = [
  ...['virtio_pci', 'virtio_net', 'virtio-rng', 'efivarfs', 'i6300esb'],
  ...['e1000e', 'igb', 'igc', 'r8169', 'realtek', 'tg3'],
  // the watchdog of Intel's chipsets, and what leads to it; the last words of a kernel, in EFI variables
  ...['lpc_ich', 'i2c-i801', 'iTCO_wdt', 'efi_pstore'],
  // where an enrolment token may come from; SMBIOS needs none
  'qemu_fw_cfg',
] as const;

export const EMPTY_FOLDERS = [
  'dev',
  'proc',
  'sys',
  'run',
  'tmp',
  'root',
  'mnt',
  'var',
  'etc/bootward',
] as const;

/** Files that no package has, as the C library and the tools want them. */
export const TEXT_FILES: Readonly<Record<string, string>> = {
  'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\n',
  'etc/group': 'root:x:0:\n',
  'etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
};

export const OS_RELEASE = `NAME="Bootward stage-0"
ID=bootward-stage0
PRETTY_NAME="Bootward stage-0 (Debian 12 packages)"
${SETTINGS_LINE}
`;

/** Firmware loads the image whole: aim at the first, never exceed the second. */
export const AIMED_IMAGE_BYTES = 16 * 1024 * 1024;
