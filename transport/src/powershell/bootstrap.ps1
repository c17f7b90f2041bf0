# The far end of the step channel (docs/step-channel.md). Windows PowerShell 3.0 to 5.1, ASCII.
# Lines that begin with # and leading blanks do not travel: start.rs drops them, because the whole
# start line must stay under 8,191 characters.

# Exit codes 1179451393 and up (0x464D....) say: no request was run. start.rs names them.
if ($ExecutionContext.SessionState.LanguageMode -ne 'FullLanguage') { exit 1179451393 }
if ($PSVersionTable.PSVersion.Major -lt 3) { exit 1179451394 }
# A 32-bit PowerShell on a 64-bit Windows sees neither nltest nor the right registry.
if ([IntPtr]::Size -lt 8 -and [Environment]::Is64BitOperatingSystem) { exit 1179451395 }
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
try {
    Add-Type -AssemblyName System.Web, System.Web.Extensions
    # Without its type data an array is [1,2] and not {"value":[1,2],"Count":2}.
    Remove-TypeData System.Array -ErrorAction SilentlyContinue
    $utf8 = [Text.Encoding]::UTF8
    $ascii = [Text.Encoding]::ASCII
    # Not ConvertFrom-Json: it stops at 2 MB, and module logging (event 4103) would write down
    # its argument, which holds secrets.
    $parser = New-Object Web.Script.Serialization.JavaScriptSerializer
    $parser.MaxJsonLength = [int]::MaxValue
    $requests = New-Object IO.StreamReader([Console]::OpenStandardInput(65536), $ascii, $false, 65536)
    $answers = [Console]::OpenStandardOutput()
} catch {
    [Console]::Error.WriteLine("$_")
    exit 1179451396
}
function Text($base64) { $utf8.GetString([Convert]::FromBase64String($base64)) }
# Dictionaries of the parser to the objects that ConvertFrom-Json would give.
function Plain($x) {
    if ($x -is [Collections.IDictionary]) {
        $h = @{}
        foreach ($k in $x.Keys) { $h[$k] = Plain $x[$k] }
        return [pscustomobject]$h
    }
    if ($x -is [object[]]) {
        $a = @(foreach ($i in $x) { , (Plain $i) })
        return , $a
    }
    $x
}
# UrlEncodeUnicode makes %uXXXX of all beyond ASCII and %25 of a percent sign, in native code:
# the one fast way to \uXXXX that 10 MB need.
function Json($x) {
    $j = ConvertTo-Json -InputObject $x -Compress -Depth 16
    [Web.HttpUtility]::UrlDecode([Web.HttpUtility]::UrlEncodeUnicode($j).Replace('%u', '\u'))
}
function Diag {
    if ($ps) {
        foreach ($n in 'error', 'warning', 'verbose', 'information') {
            # 3.0 has no information stream: the count of $null is 0.
            $s = $ps.Streams.$n
            for ($i = 0; $i -lt [Math]::Min(100, $s.Count); $i++) {
                $t = "${n}: $($s[$i])"
                $t.Substring(0, [Math]::Min(2000, $t.Length))
            }
        }
    }
}
while ($null -ne ($line = $requests.ReadLine())) {
    $f = $line.Split(' ')
    if ($f.Length -ne 4) { exit 1179451397 }
    $ps = $null
    $space = $null
    try {
        $space = [RunspaceFactory]::CreateRunspace([Management.Automation.Runspaces.InitialSessionState]::CreateDefault2())
        $space.Open()
        $space.SessionStateProxy.SetVariable('ProgressPreference', 'SilentlyContinue')
        $ps = [PowerShell]::Create()
        $ps.Runspace = $space
        $null = $ps.AddScript((Text $f[2])).AddArgument((Plain $parser.DeserializeObject((Text $f[3]))))
        $o = $ps.Invoke()
        $v = $null
        if ($o.Count -eq 1) { $v = $o[0] } elseif ($o.Count) { $v = @($o) }
        $j = Json @{ ok = $true; answer = $v; diag = @(Diag) }
    } catch {
        # Invoke() wraps what the script threw; the number is that of the innermost exception.
        $k = $_
        $m = "$k"
        $e = $k.Exception.InnerException
        if ($e -and $e.ErrorRecord) {
            $k = $e.ErrorRecord
            $m = "$k"
        } elseif ($e) { $m = $e.Message }
        $e = $k.Exception.GetBaseException()
        $c = [Runtime.InteropServices.Marshal]::GetHRForException($e)
        if ($e -is [ComponentModel.Win32Exception]) { $c = $e.NativeErrorCode }
        $j = Json @{ ok = $false; error = @{ id = "$($k.FullyQualifiedErrorId)"; code = $c; message = $m }; diag = @(Diag) }
    }
    # One write: nothing that the script left running can get between.
    $b = $ascii.GetBytes("`n$($f[0]) $($f[1]) $j`n")
    $answers.Write($b, 0, $b.Length)
    $answers.Flush()
    if ($ps) { $ps.Dispose() }
    if ($space) { $space.Dispose() }
    $line = $f = $o = $v = $j = $b = $null
}
exit 0
