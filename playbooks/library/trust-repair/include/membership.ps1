# Joins this PC to a domain and takes it out of one, by the functions behind
# Win32_ComputerSystem.JoinDomainOrWorkgroup, and reads what the LSA knows of the domain. Needs
# probe.ps1.
#
# Not by WMI itself: so the password goes through memory that is wiped, and into no object that
# could be written down on its way; and the controller is named as NetJoinDomain documents it.

# Makes them callable. Add-Type has the C# compiler write temporary files: they hold this text,
# and no secret.
function Import-MembershipApi {
    if ('Fleetmend.Membership' -as [type]) { return }
    Add-Type -TypeDefinition @'
using System;
using System.Runtime.InteropServices;
using System.Security.Principal;

namespace Fleetmend
{
    // Characters in memory that the garbage collector neither moves nor copies.
    public sealed class JoinText : IDisposable
    {
        private readonly int capacity;
        private IntPtr start;
        private int count;

        public JoinText(int capacity)
        {
            this.capacity = capacity;
            // One more, so that it ends with 0.
            this.start = Marshal.AllocHGlobal((capacity + 1) * 2);
            this.Blank();
        }

        public void Append(char character)
        {
            if (this.start == IntPtr.Zero || this.count == this.capacity)
            {
                throw new InvalidOperationException("JoinText");
            }
            Marshal.WriteInt16(this.start, this.count * 2, character);
            this.count++;
        }

        internal IntPtr Start
        {
            get { return this.start; }
        }

        // Reads it as base64 and returns the memory and its length in bytes, which the caller
        // wipes and frees; -1: it is none.
        internal int Decode(out IntPtr bytes)
        {
            bytes = Marshal.AllocHGlobal(this.count + 4);
            int length = 0;
            int bits = 0;
            int held = 0;
            for (int at = 0; at < this.count; at++)
            {
                char character = (char)Marshal.ReadInt16(this.start, at * 2);
                int value = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".IndexOf(character);
                if (value < 0)
                {
                    // The end is filled up, and a text may have line breaks or end with 0.
                    if (character == '=' || character <= ' ') { continue; }
                    return -1;
                }
                held = ((held << 6) | value) & 0xFFFFFF;
                bits += 6;
                if (bits < 8) { continue; }
                bits -= 8;
                Marshal.WriteByte(bytes, length, (byte)(held >> bits));
                length++;
            }
            return length;
        }

        public void Dispose()
        {
            if (this.start == IntPtr.Zero) { return; }
            this.Blank();
            Marshal.FreeHGlobal(this.start);
            this.start = IntPtr.Zero;
        }

        private void Blank()
        {
            for (int at = 0; at <= this.capacity; at++) { Marshal.WriteInt16(this.start, at * 2, 0); }
        }
    }

    // What POLICY_DNS_DOMAIN_INFO says of the domain that the PC is in.
    public sealed class PrimaryAnswer
    {
        public uint Error;
        public string NetBiosName;
        public string DnsName;
        public string Sid;
    }

    public static class Membership
    {
        // lmjoin.h
        private const uint JoinDomainFlag = 1;
        private const uint AccountCreate = 2;
        private const uint JoinIfJoined = 0x20;
        private const uint OnlineCaller = 0x40000000;

        // ntsecapi.h, LSA_OBJECT_ATTRIBUTES; all of it reserved.
        [StructLayout(LayoutKind.Sequential)]
        private struct ObjectAttributes
        {
            public uint Length;
            public IntPtr RootDirectory;
            public IntPtr ObjectName;
            public uint Attributes;
            public IntPtr SecurityDescriptor;
            public IntPtr SecurityQualityOfService;
        }

        [StructLayout(LayoutKind.Sequential)]
        private struct Text
        {
            public ushort Length;
            public ushort MaximumLength;
            public IntPtr Buffer;
        }

        // ntsecapi.h, POLICY_DNS_DOMAIN_INFO
        [StructLayout(LayoutKind.Sequential)]
        private struct DnsDomain
        {
            public Text Name;
            public Text DnsName;
            public Text Forest;
            public Guid Guid;
            public IntPtr Sid;
        }

        [DllImport("netapi32.dll", CharSet = CharSet.Unicode)]
        private static extern uint NetJoinDomain(
            string server, string domain, string unit, string account, IntPtr text, uint options);

        [DllImport("netapi32.dll", CharSet = CharSet.Unicode)]
        private static extern uint NetUnjoinDomain(string server, string account, IntPtr text, uint options);

        [DllImport("netapi32.dll", CharSet = CharSet.Unicode)]
        private static extern uint NetRequestOfflineDomainJoin(
            IntPtr blob, uint bytes, uint options, string windows);

        [DllImport("advapi32.dll")]
        private static extern uint LsaOpenPolicy(
            IntPtr system, ref ObjectAttributes attributes, uint access, out IntPtr policy);

        [DllImport("advapi32.dll")]
        private static extern uint LsaQueryInformationPolicy(IntPtr policy, int what, out IntPtr buffer);

        [DllImport("advapi32.dll")]
        private static extern uint LsaFreeMemory(IntPtr buffer);

        [DllImport("advapi32.dll")]
        private static extern uint LsaClose(IntPtr handle);

        [DllImport("advapi32.dll")]
        private static extern uint LsaNtStatusToWinError(uint status);

        // Joins at this controller, with whatever account of this name there is, or a new one in
        // this unit; null: where the domain puts new ones. In place: also a PC that is a member.
        public static uint Join(
            string domain, string controller, string unit, string account, JoinText text, bool inPlace)
        {
            uint options = JoinDomainFlag | AccountCreate;
            if (inPlace) { options |= JoinIfJoined; }
            string where = string.IsNullOrEmpty(controller) ? domain : domain + "\\" + controller;
            string place = string.IsNullOrEmpty(unit) ? null : unit;
            return NetJoinDomain(null, where, place, account, text.Start, options);
        }

        // Leaves the domain and touches nothing in it, so that no account is needed; the computer
        // account stays as it is.
        public static uint Leave()
        {
            return NetUnjoinDomain(null, null, IntPtr.Zero, 0);
        }

        // Names the workgroup of a PC that is in no domain.
        public static uint Workgroup(string name)
        {
            return NetJoinDomain(null, name, null, null, IntPtr.Zero, 0);
        }

        // Stores what an offline join blob holds, for the next start of Windows.
        public static uint Request(JoinText blob, string windows)
        {
            IntPtr bytes = IntPtr.Zero;
            int length = 0;
            try
            {
                length = blob.Decode(out bytes);
                // ERROR_INVALID_DATA
                if (length <= 0) { return 13; }
                return NetRequestOfflineDomainJoin(bytes, (uint)length, OnlineCaller, windows);
            }
            finally
            {
                if (bytes != IntPtr.Zero)
                {
                    for (int at = 0; at < length; at++) { Marshal.WriteByte(bytes, at, 0); }
                    Marshal.FreeHGlobal(bytes);
                }
            }
        }

        public static PrimaryAnswer Primary()
        {
            PrimaryAnswer answer = new PrimaryAnswer();
            IntPtr policy = IntPtr.Zero;
            IntPtr buffer = IntPtr.Zero;
            try
            {
                ObjectAttributes attributes = new ObjectAttributes();
                attributes.Length = (uint)Marshal.SizeOf(typeof(ObjectAttributes));
                // POLICY_VIEW_LOCAL_INFORMATION
                uint status = LsaOpenPolicy(IntPtr.Zero, ref attributes, 1, out policy);
                // PolicyDnsDomainInformation
                if (status == 0) { status = LsaQueryInformationPolicy(policy, 12, out buffer); }
                if (status != 0)
                {
                    answer.Error = LsaNtStatusToWinError(status);
                    return answer;
                }
                DnsDomain info = (DnsDomain)Marshal.PtrToStructure(buffer, typeof(DnsDomain));
                answer.NetBiosName = Read(info.Name);
                answer.DnsName = Read(info.DnsName);
                if (info.Sid != IntPtr.Zero) { answer.Sid = new SecurityIdentifier(info.Sid).Value; }
                return answer;
            }
            finally
            {
                if (buffer != IntPtr.Zero) { LsaFreeMemory(buffer); }
                if (policy != IntPtr.Zero) { LsaClose(policy); }
            }
        }

        private static string Read(Text text)
        {
            if (text.Buffer == IntPtr.Zero || text.Length == 0) { return null; }
            return Marshal.PtrToStringUni(text.Buffer, text.Length / 2);
        }
    }
}
'@
}
