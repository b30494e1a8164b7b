// What the trace hook shows of calls with files, and of descriptors that are waited for or are
// sockets.
#include <asm/unistd.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <csignal>

#include "tests/hooks/traced_calls.h"

namespace sysrewrite::test {

namespace {

// --- Files ---------------------------------------------------------------------------------------

TEST_F(Trace, StatShowsModeAndSizeOrDevice) {
  struct stat status {};
  status.st_mode = S_IFREG | 0644;
  status.st_size = 17;
  EXPECT_EQ(traced(__NR_stat, {at("f"), at(&status)}, 0),
            "stat(\"f\", {st_mode=S_IFREG|0644, st_size=17, ...}) = 0");
  status.st_mode = S_IFCHR | S_ISVTX | 0620;
  status.st_rdev = 0x8801;
  EXPECT_EQ(traced(__NR_fstat, {3, at(&status)}, 0),
            "fstat(3, {st_mode=S_IFCHR|S_ISVTX|0620, st_rdev=makedev(0x88, 0x1), ...}) = 0");
  EXPECT_EQ(traced(__NR_newfstatat, {kHere, at("f"), 8, 0}, -ENOENT),
            "newfstatat(AT_FDCWD, \"f\", 0x8, 0) = -1 ENOENT (No such file or directory)");
}

TEST_F(Trace, StatxShowsItsMask) {
  struct statx status {};
  status.stx_mask = STATX_TYPE | STATX_SIZE;
  status.stx_mode = S_IFDIR | 0700;
  status.stx_size = 5;
  EXPECT_EQ(traced(__NR_statx, {kHere, at("d"), AT_SYMLINK_NOFOLLOW, STATX_SIZE, at(&status)}, 0),
            "statx(AT_FDCWD, \"d\", AT_STATX_SYNC_AS_STAT|AT_SYMLINK_NOFOLLOW, STATX_SIZE, "
            "{stx_mask=STATX_TYPE|STATX_SIZE, stx_attributes=0, stx_mode=S_IFDIR|0700, stx_size=5, "
            "...}) = 0");
}

TEST_F(Trace, AModeIsShownOnlyWhereAFileMayBeCreated) {
  EXPECT_EQ(traced(__NR_openat, {kHere, at("f"), O_RDONLY | O_CLOEXEC, 0600}, 3),
            "openat(AT_FDCWD, \"f\", O_RDONLY|O_CLOEXEC) = 3");
  EXPECT_EQ(traced(__NR_openat, {5, at("f"), O_RDWR | O_CREAT | O_EXCL, 0600}, 3),
            "openat(5, \"f\", O_RDWR|O_CREAT|O_EXCL, 0600) = 3");
  EXPECT_EQ(traced(__NR_open, {at("f"), O_WRONLY | O_SYNC | O_DIRECTORY}, 3),
            "open(\"f\", O_WRONLY|O_SYNC|O_DIRECTORY) = 3");
}

TEST_F(Trace, EntriesAreCounted) {
  struct {
    uint64_t inode, offset;
    uint16_t length;
    char rest[22];
  } entries[3] = {{1, 1, 40, {}}, {2, 2, 40, {}}, {3, 3, 40, {}}};
  static_assert(sizeof(entries) == 120);
  EXPECT_EQ(traced(__NR_getdents64, {3, at(entries), 1000}, 120),
            "getdents64(3, " + hex(at(entries)) + " /* 3 entries */, 1000) = 120");
  entries[1].length = 0;  // a lie must not make it run for ever
  EXPECT_EQ(traced(__NR_getdents64, {3, at(entries), 1000}, 120),
            "getdents64(3, " + hex(at(entries)) + " /* 1 entry */, 1000) = 120");
}

TEST_F(Trace, DescriptorsThatTheKernelChooses) {
  int ends[2] = {3, 4};
  EXPECT_EQ(traced(__NR_pipe2, {at(ends), O_CLOEXEC}, 0), "pipe2([3, 4], O_CLOEXEC) = 0");
}

TEST_F(Trace, FcntlSaysWhatFlagsAre) {
  EXPECT_EQ(traced(__NR_fcntl, {1, F_GETFL}, O_RDWR | O_APPEND),
            "fcntl(1, F_GETFL) = 0x402 (flags O_RDWR|O_APPEND)");
  EXPECT_EQ(traced(__NR_fcntl, {1, F_GETFD}, FD_CLOEXEC),
            "fcntl(1, F_GETFD) = 0x1 (flags FD_CLOEXEC)");
  EXPECT_EQ(traced(__NR_fcntl, {1, F_GETFD}, 0), "fcntl(1, F_GETFD) = 0");
  EXPECT_EQ(traced(__NR_fcntl, {1, F_DUPFD_CLOEXEC, 10}, 10), "fcntl(1, F_DUPFD_CLOEXEC, 10) = 10");
  struct flock lock {};
  lock.l_type = F_UNLCK;
  lock.l_pid = 77;
  EXPECT_EQ(
      traced(__NR_fcntl, {1, F_GETLK, at(&lock)}, 0),
      "fcntl(1, F_GETLK, {l_type=F_UNLCK, l_whence=SEEK_SET, l_start=0, l_len=0, l_pid=77}) = 0");
}

TEST_F(Trace, FcntlSaysWhoIsToldOfADescriptor) {
  EXPECT_EQ(traced(__NR_fcntl, {1, F_GETSIG}, SIGUSR1), "fcntl(1, F_GETSIG) = 10 (SIGUSR1)");
  EXPECT_EQ(traced(__NR_fcntl, {1, F_GETSIG}, 0), "fcntl(1, F_GETSIG) = 0");
  EXPECT_EQ(traced(__NR_fcntl, {1, F_NOTIFY, DN_ACCESS | DN_MULTISHOT}, -ENOTDIR),
            "fcntl(1, F_NOTIFY, DN_ACCESS|DN_MULTISHOT) = -1 ENOTDIR (Not a directory)");
  f_owner_ex owner{F_OWNER_PGRP, 5};
  EXPECT_EQ(traced(__NR_fcntl, {1, F_SETOWN_EX, at(&owner)}, -ESRCH),
            "fcntl(1, F_SETOWN_EX, {type=F_OWNER_PGRP, pid=5}) = -1 ESRCH (No such process)");
  EXPECT_EQ(traced(__NR_fcntl, {1, F_GETOWN_EX, at(&owner)}, 0,
                   [&] {
                     owner = {F_OWNER_PID, 7};
                   }),
            "fcntl(1, F_GETOWN_EX, {type=F_OWNER_PID, pid=7}) = 0");
}

TEST_F(Trace, SendfileShowsWhereItStoodAndStands) {
  uint64_t offset = 5;
  EXPECT_EQ(traced(__NR_sendfile, {1, 3, at(&offset), 10}, 10, [&] { offset = 15; }),
            "sendfile(1, 3, [5] => [15], 10) = 10");
}

// --- Descriptors that are waited for, and sockets ------------------------------------------------

TEST_F(Trace, PollShowsWhatBecameReady) {
  pollfd entries[] = {{3, POLLIN, 0}, {4, POLLOUT, POLLOUT}};
  const std::string asked = "[{fd=3, events=POLLIN}, {fd=4, events=POLLOUT}], 2, -1) = ";
  EXPECT_EQ(traced(__NR_poll, {at(entries), 2, kOnes}, 1),
            "poll(" + asked + "1 ([{fd=4, revents=POLLOUT}])");
  EXPECT_EQ(traced(__NR_poll, {at(entries), 2, kOnes}, 0), "poll(" + asked + "0 (Timeout)");
  timespec left{0, 7};
  EXPECT_EQ(traced(__NR_ppoll, {at(entries), 1, at(&left), 0, 8}, 1,
                   [&] { entries[0].revents = POLLHUP; }),
            "ppoll([{fd=3, events=POLLIN}], 1, {tv_sec=0, tv_nsec=7}, NULL, 8) = 1 ([{fd=3, "
            "revents=POLLHUP}], left "
            "{tv_sec=0, tv_nsec=7})");
}

// As strace 6.1 has them.
TEST_F(Trace, ReceivedMessagesShowTheTimeoutAsItWasAndWhatIsLeft) {
  mmsghdr message{};
  timespec timeout{1, 5};
  const std::string received =
      "[{msg_hdr={msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, msg_controllen=0, "
      "msg_flags=0}, msg_len=0}], 1, 0, ";
  EXPECT_EQ(
      traced(__NR_recvmmsg, {4, at(&message), 1, 0, at(&timeout)}, 1,
             [&] {
               timeout = {0, 999};
             }),
      "recvmmsg(4, " + received + "{tv_sec=1, tv_nsec=5}) = 1 (left {tv_sec=0, tv_nsec=999})");
  EXPECT_EQ(traced(__NR_recvmmsg, {4, at(&message), 1, 0, 0}, 1),
            "recvmmsg(4, " + received + "NULL) = 1");
  EXPECT_EQ(traced(__NR_recvmmsg, {4, at(&message), 0, 0, at(&timeout)}, 0),
            "recvmmsg(4, [], 0, 0, {tv_sec=0, tv_nsec=999}) = 0 (Timeout)");
  EXPECT_EQ(traced(__NR_recvmmsg, {4, 0x1000, 1, 0, 8}, -EFAULT),
            "recvmmsg(4, 0x1000, 1, 0, 0x8) = -1 EFAULT (Bad address)");
}

TEST_F(Trace, ReceivedMessagesShowTheRoomThatTheirSendersHad) {
  sockaddr_un sender{};
  sender.sun_family = AF_UNIX;
  mmsghdr messages[2]{};
  messages[0].msg_hdr.msg_name = &sender;
  messages[0].msg_hdr.msg_namelen = sizeof(sender);
  const auto received = [&] {
    messages[0].msg_hdr.msg_namelen = sizeof(sender);
    return traced(__NR_recvmmsg, {4, at(messages), 2, 0, 0}, 2,
                  [&] { messages[0].msg_hdr.msg_namelen = 2; });
  };
  const std::string rest =
      ", msg_iov=NULL, msg_iovlen=0, msg_controllen=0, msg_flags=0}, msg_len=0}";
  const auto expected = [&](const std::string& size) {
    return "recvmmsg(4, [{msg_hdr={msg_name={sa_family=AF_UNIX}, msg_namelen=" + size + rest +
           ", {msg_hdr={msg_name=NULL, msg_namelen=0" + rest + "], 2, 0, NULL) = 2";
  };
  EXPECT_EQ(received(), expected("110 => 2"));
  api_.has_call_memory = false;
  EXPECT_EQ(received(), expected("2"));
}

TEST_F(Trace, SelectShowsWhatBecameReady) {
  fd_set set;
  timeval left{1, 2};
  FD_ZERO(&set);
  FD_SET(3, &set);
  FD_SET(65, &set);
  EXPECT_EQ(traced(__NR_select, {66, at(&set), 0, 0, at(&left)}, 1, [&] { FD_CLR(3, &set); }),
            "select(66, [3 65], NULL, NULL, {tv_sec=1, tv_usec=2}) = 1 (in [65], left {tv_sec=1, "
            "tv_usec=2})");
  EXPECT_EQ(traced(__NR_select, {0, 0, 0, 0, at(&left)}, 0),
            "select(0, NULL, NULL, NULL, {tv_sec=1, tv_usec=2}) = 0 (Timeout)");
}

TEST_F(Trace, EpollShowsEvents) {
  epoll_event events[2]{};
  events[0].events = EPOLLIN | EPOLLHUP;
  events[0].data.u64 = 0x100000002;
  EXPECT_EQ(traced(__NR_epoll_wait, {3, at(events), 2, 0}, 1),
            "epoll_wait(3, [{events=EPOLLIN|EPOLLHUP, data={u32=2, u64=4294967298}}], 2, 0) = 1");
  EXPECT_EQ(traced(__NR_epoll_wait, {3, at(events), 2, 0}, 0), "epoll_wait(3, [], 2, 0) = 0");
}

TEST_F(Trace, AddressesThatTheKernelFillsIn) {
  sockaddr_un address{};
  socklen_t size = sizeof(address);
  EXPECT_EQ(traced(__NR_accept, {3, at(&address), at(&size)}, 4,
                   [&] {
                     address.sun_family = AF_UNIX;
                     size = 2;
                   }),
            "accept(3, {sa_family=AF_UNIX}, [110 => 2]) = 4");
  sockaddr_in6 internet{};
  internet.sin6_family = AF_INET6;
  internet.sin6_port = htons(80);
  internet.sin6_addr = in6addr_loopback;
  size = sizeof(internet);
  EXPECT_EQ(traced(__NR_getsockname, {3, at(&internet), at(&size)}, 0),
            "getsockname(3, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), "
            "inet_pton(AF_INET6, "
            "\"::1\", &sin6_addr), sin6_scope_id=0}, [28]) = 0");
}

TEST_F(Trace, MessagesShowWhatCame) {
  sockaddr_in sender{};
  sender.sin_family = AF_INET;
  char text[] = "hello";
  iovec vector{text, 5};
  struct {
    uint64_t size;
    int level, type, descriptors[2];
  } control{24, SOL_SOCKET, SCM_RIGHTS, {7, 8}};
  msghdr message{&sender, 128, &vector, 1, &control, sizeof(control), 0};
  EXPECT_EQ(traced(__NR_recvmsg, {3, at(&message), 0}, 2, [&] { message.msg_namelen = 16; }),
            "recvmsg(3, {msg_name={sa_family=AF_INET, sin_port=htons(0), "
            "sin_addr=inet_addr(\"0.0.0.0\")}, "
            "msg_namelen=128 => 16, msg_iov=[{iov_base=\"he\", iov_len=5}], msg_iovlen=1, "
            "msg_control=[{cmsg_len=24, "
            "cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[7, 8]}], msg_controllen=24, "
            "msg_flags=0}, 0) = 2");
}

TEST_F(Trace, MessagesShowWhoSentThem) {
  struct {
    uint64_t size;
    int level, type;
    uint32_t credentials[3];
  } control{28, SOL_SOCKET, SCM_CREDENTIALS, {7, 3000000000, 0xffffffff}};
  msghdr message{nullptr, 0, nullptr, 0, &control, 28, 0};
  EXPECT_EQ(traced(__NR_sendmsg, {3, at(&message), 0}, 0),
            "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
            "msg_control=[{cmsg_len=28, cmsg_level=SOL_SOCKET, cmsg_type=SCM_CREDENTIALS, "
            "cmsg_data={pid=7, uid=3000000000, gid=-1}}], msg_controllen=28, msg_flags=0}, 0) = 0");
}

TEST_F(Trace, OptionsThatTheKernelFillsIn) {
  int value = 0;
  socklen_t size = 8;
  EXPECT_EQ(traced(__NR_getsockopt, {3, SOL_SOCKET, SO_TYPE, at(&value), at(&size)}, 0,
                   [&] {
                     value = 2;
                     size = 4;
                   }),
            "getsockopt(3, SOL_SOCKET, SO_TYPE, [2], [8 => 4]) = 0");
}

TEST_F(Trace, TerminalsShowTheirSize) {
  uint16_t size[4] = {24, 80, 0, 0};
  EXPECT_EQ(traced(__NR_ioctl, {0, 0x5413, at(size)}, 0),
            "ioctl(0, TIOCGWINSZ, {ws_row=24, ws_col=80, ws_xpixel=0, ws_ypixel=0}) = 0");
  EXPECT_EQ(
      traced(__NR_ioctl, {0, 0x5413, at(size)}, -ENOTTY),
      "ioctl(0, TIOCGWINSZ, " + hex(at(size)) + ") = -1 ENOTTY (Inappropriate ioctl for device)");
}

}  // namespace

}  // namespace sysrewrite::test
